//! An allocator that gives nobody more than 128 MiB at once: whoever asks for more for a few bytes of input is a finding.

use std::alloc::{GlobalAlloc, Layout, System};

const MOST: usize = 128 << 20;

#[global_allocator]
static BOUNDED: Bounded = Bounded;

struct Bounded;

// SAFETY: every call goes to the system's allocator as it is, or gives no memory.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.size() {
            0..=MOST => unsafe { System.alloc(layout) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match layout.size() {
            0..=MOST => unsafe { System.alloc_zeroed(layout) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn realloc(&self, from: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size {
            0..=MOST => unsafe { System.realloc(from, layout, size) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, from: *mut u8, layout: Layout) {
        unsafe { System.dealloc(from, layout) }
    }
}
