//! A small heap for a program with one thread.
//!
//! Sizes are rounded up to a power of two, a size class. A request takes a freed piece of its
//! class, or cuts a new piece from the current chunk. The first chunk is part of the program, and
//! most programs need no other; an untouched page of it costs nothing. A request above 32 KiB gets
//! its own pages, which return to the kernel when freed.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

const SMALLEST: usize = 16;
const CLASSES: usize = 12; // 16 bytes to 32 KiB
const FIRST_CHUNK: usize = 32 * 1024;
const CHUNK: usize = 256 * 1024;

/// The allocator; [`crate::start_program!`] makes it the program's.
///
/// It is separate from its first chunk and not all zeros, so that the linker puts it into `.data`.
/// There it shares a page that the process writes anyway.
pub struct Heap {
    state: UnsafeCell<State>,
    first: &'static FirstChunk,
}

/// A chunk of memory that is part of the program, in its own pages.
#[repr(align(4096))]
pub struct FirstChunk(UnsafeCell<[u8; FIRST_CHUNK]>);

// SAFETY: only the heap that owns the chunk accesses it, and the caller of `Heap::new` guarantees
// one thread.
unsafe impl Sync for FirstChunk {}

impl FirstChunk {
    /// An unused chunk.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; FIRST_CHUNK]))
    }
}

struct State {
    /// The list of freed pieces of each class; each piece holds the address of the next one.
    free: [*mut u8; CLASSES],
    /// The unused rest of the current chunk; null before the first request.
    next: *mut u8,
    /// The length of the rest.
    left: usize,
}

// SAFETY: the caller of `Heap::new` guarantees one thread, so no two threads access the state.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    ///
    /// # Safety
    /// No other heap may use this chunk, and the program must have one thread.
    #[must_use]
    pub const unsafe fn new(first: &'static FirstChunk) -> Self {
        Self {
            state: UnsafeCell::new(State {
                free: [null_mut(); CLASSES],
                next: null_mut(),
                left: 0,
            }),
            first,
        }
    }
}

/// The class of a request and the size of its pieces; `None` if the request gets its own pages.
fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    let class = (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize;
    (class < CLASSES).then_some((class, size))
}

/// Maps pages. Ends the program if there are none: it does not handle a failed allocation, and the
/// standard message would report a defect.
fn pages(len: usize) -> *mut u8 {
    let flags = MapFlags::PRIVATE;
    // SAFETY: a new mapping at an address that the kernel chooses does not affect other memory.
    let got = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) };
    got.map_or_else(|_| crate::fatal::out_of_memory(), <*mut _>::cast)
}

// SAFETY: a piece is as large as its class and aligned to that size, a power of two that is at
// least the size and the alignment of the layout. A piece is either in a free list or with its
// owner. A piece with its own pages does not overlap other memory.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, size)) = class(layout) else {
            // Alignments above a page do not occur. Fail instead of returning a wrong address.
            return if layout.align() > 4096 { null_mut() } else { pages(layout.size()) };
        };
        // SAFETY: there is one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        let head = state.free[class];
        if !head.is_null() {
            // SAFETY: `dealloc` wrote the address of the next piece into the first word.
            state.free[class] = unsafe { head.cast::<*mut u8>().read() };
            return head;
        }
        if state.next.is_null() {
            state.next = self.first.0.get().cast();
            state.left = FIRST_CHUNK;
        }
        let mut skip = state.next.align_offset(size);
        if skip.saturating_add(size) > state.left {
            let fresh = pages(CHUNK);
            state.next = fresh;
            state.left = CHUNK;
            skip = fresh.align_offset(size);
        }
        let piece = state.next.wrapping_add(skip);
        state.next = piece.wrapping_add(size);
        state.left -= skip + size;
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some((class, _)) = class(layout) else {
            // SAFETY: the class of the layout shows that `pages` or `mremap` mapped these pages,
            // and the caller no longer uses them. If the kernel refuses, they stay mapped.
            let _ = unsafe { munmap(piece.cast(), layout.size()) };
            return;
        };
        // SAFETY: there is one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        // SAFETY: the caller no longer uses the piece, which has at least 16 bytes, aligned.
        unsafe { piece.cast::<*mut u8>().write(state.free[class]) };
        state.free[class] = piece;
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return null_mut();
        };
        match (class(layout), class(new)) {
            (Some((a, _)), Some((b, _))) if a == b => piece,
            (None, None) => {
                // SAFETY: both classes show that the piece has its own pages. The caller no longer
                // uses the old address.
                let got =
                    unsafe { mremap(piece.cast(), layout.size(), new_size, MremapFlags::MAYMOVE) };
                got.map_or_else(|_| crate::fatal::out_of_memory(), <*mut _>::cast)
            }
            _ => {
                // SAFETY: the caller guarantees a size that is not 0.
                let to = unsafe { self.alloc(new) };
                if !to.is_null() {
                    let n = layout.size().min(new_size);
                    // SAFETY: the pieces differ and have at least `n` bytes each.
                    unsafe { core::ptr::copy_nonoverlapping(piece, to, n) };
                    // SAFETY: the caller guarantees that `alloc` returned the piece for this
                    // layout.
                    unsafe { self.dealloc(piece, layout) };
                }
                to
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Allocates, reallocates and frees pieces of all sizes in random order. Each piece is filled
    /// with a mark of its own, so an overlap changes a mark.
    #[test]
    fn no_two_pieces_overlap() {
        static FIRST: FirstChunk = FirstChunk::new();
        // SAFETY: no other heap uses the chunk, and the heap stays in this thread.
        let heap = unsafe { Heap::new(&FIRST) };
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let full = |piece: *mut u8, n: usize, mark: u8| {
            // SAFETY: the test holds the piece and has written all its `n` bytes.
            let bytes = unsafe { core::slice::from_raw_parts(piece, n) };
            bytes.iter().all(|&b| b == mark)
        };
        // Miri is slow for every byte.
        let (rounds, sizes) = if cfg!(miri) { (100, 17) } else { (20_000, 18) };
        for round in 0..rounds {
            let largest = 1 << next(sizes);
            let size = 1 + usize::try_from(next(largest)).unwrap();
            let layout = Layout::from_size_align(size, 1 << next(5)).unwrap();
            let mark = (round % 251_u64) as u8;
            match next(3) {
                0 if !held.is_empty() => {
                    let (piece, layout, mark) =
                        held.swap_remove(usize::try_from(next(held.len() as u64)).unwrap());
                    assert!(full(piece, layout.size(), mark));
                    // SAFETY: allocated with this layout, and not used any more.
                    unsafe { heap.dealloc(piece, layout) };
                }
                1 if !held.is_empty() => {
                    let at = usize::try_from(next(held.len() as u64)).unwrap();
                    let (piece, old, mark) = held[at];
                    // SAFETY: allocated with the old layout, and the size is not zero.
                    let moved = unsafe { heap.realloc(piece, old, size) };
                    assert!(!moved.is_null() && full(moved, old.size().min(size), mark));
                    // SAFETY: the piece now has `size` bytes.
                    unsafe { moved.write_bytes(mark, size) };
                    held[at] = (moved, Layout::from_size_align(size, old.align()).unwrap(), mark);
                }
                _ => {
                    // SAFETY: the size is not zero.
                    let piece = unsafe { heap.alloc(layout) };
                    assert!(!piece.is_null() && (piece as usize).is_multiple_of(layout.align()));
                    // SAFETY: the piece has `size` bytes.
                    unsafe { piece.write_bytes(mark, size) };
                    held.push((piece, layout, mark));
                }
            }
        }
        for (piece, layout, mark) in held {
            assert!(full(piece, layout.size(), mark));
        }
    }
}
