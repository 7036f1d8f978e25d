//! An allocator that refuses more than 128 MiB at once: a target that needs more for a few bytes of input is a finding.

use std::alloc::{GlobalAlloc, Layout, System};

const MAX_ALLOCATION: usize = 128 << 20;

#[global_allocator]
static BOUNDED: Bounded = Bounded;

struct Bounded;

// SAFETY: every call goes to the system's allocator unchanged, or returns null.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.size() {
            0..=MAX_ALLOCATION => unsafe { System.alloc(layout) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match layout.size() {
            0..=MAX_ALLOCATION => unsafe { System.alloc_zeroed(layout) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn realloc(&self, from: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size {
            0..=MAX_ALLOCATION => unsafe { System.realloc(from, layout, size) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, from: *mut u8, layout: Layout) {
        unsafe { System.dealloc(from, layout) }
    }
}
