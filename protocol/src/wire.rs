//! Frames and messages between nodes.

pub mod codec;
pub mod messages;
pub mod streams;
