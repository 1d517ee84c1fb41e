//! A small heap for a program with one thread.
//!
//! Requests are rounded up to a power of two and served from lists of freed pieces, else from a
//! chunk of fresh memory; a page of it costs nothing until it is touched. The first chunk is part
//! of the program, as most programs need no more. Large requests get pages of their own, which go
//! back to the kernel. `supervise` never asks for anything.

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
/// It lies apart from its first chunk, and is not all zeros, so that the linker puts it with the
/// program's other data: into a page that is the process's own in any case.
pub struct Heap {
    state: UnsafeCell<State>,
    first: &'static FirstChunk,
}

/// The memory that comes with the program, in pages of its own.
#[repr(align(4096))]
pub struct FirstChunk(UnsafeCell<[u8; FIRST_CHUNK]>);

// SAFETY: only the heap that it belongs to touches it, and who made that has promised that there is
// one thread.
unsafe impl Sync for FirstChunk {}

impl FirstChunk {
    /// Fresh memory.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; FIRST_CHUNK]))
    }
}

struct State {
    free: [*mut u8; CLASSES],
    /// Where the chunk goes on; null before the first one.
    next: *mut u8,
    left: usize,
}

// SAFETY: who made it has promised that there is one thread, so that the state is never reached
// from two.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    ///
    /// # Safety
    /// It has to be the only one to use this chunk, and the program has to have one thread.
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

/// The class of a request and the size of its pieces, or `None` for one of its own pages.
fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    let class = (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize;
    (class < CLASSES).then_some((class, size))
}

/// Pages from the kernel. Without them the program ends here, as nothing in it is prepared for an
/// allocation that fails; else Rust's own message would call that a defect of ours.
fn pages(len: usize) -> *mut u8 {
    let flags = MapFlags::PRIVATE;
    // SAFETY: a new private mapping at a place the kernel chooses touches no other memory.
    let got = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) };
    got.map_or_else(|_| crate::start::out_of_memory(), <*mut _>::cast)
}

// SAFETY: pieces of a class are at least as large as the layout and aligned to their size, a
// power of two not smaller than the alignment: chunks are cut from the front in pieces whose
// start is rounded up to their size. A piece is on a free list or with its owner,
// never both.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, size)) = class(layout) else {
            // Alignments above a page do not occur; refuse rather than misplace.
            return if layout.align() > 4096 { null_mut() } else { pages(layout.size()) };
        };
        // SAFETY: one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        let head = state.free[class];
        if !head.is_null() {
            // SAFETY: a free piece holds the next one's address in its first word.
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
            // SAFETY: the pages were mapped by `alloc` for this very layout. A refusal would
            // leave them in use, which harms nobody.
            let _ = unsafe { munmap(piece.cast(), layout.size()) };
            return;
        };
        // SAFETY: one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        // SAFETY: the piece is ours again, at least 16 bytes and aligned to its size.
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
                // SAFETY: the mapping is ours; it may move, and the caller forgets the old place.
                let got =
                    unsafe { mremap(piece.cast(), layout.size(), new_size, MremapFlags::MAYMOVE) };
                got.map_or_else(|_| crate::start::out_of_memory(), <*mut _>::cast)
            }
            _ => {
                // SAFETY: the layout is valid and not empty, as the caller's is.
                let to = unsafe { self.alloc(new) };
                if !to.is_null() {
                    let n = layout.size().min(new_size);
                    // SAFETY: two different pieces, both at least `n` bytes.
                    unsafe { core::ptr::copy_nonoverlapping(piece, to, n) };
                    // SAFETY: the caller's piece and layout.
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

    /// Pieces of all sizes are taken, changed in size and given back in a disorderly way; none
    /// may ever touch another.
    #[test]
    fn no_two_pieces_overlap() {
        static FIRST: FirstChunk = FirstChunk::new();
        // SAFETY: nobody else names the chunk, and the heap does not leave this thread.
        let heap = unsafe { Heap::new(&FIRST) };
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let full = |piece: *mut u8, n: usize, mark: u8| {
            // SAFETY: the piece is ours and has n bytes, all written.
            let bytes = unsafe { core::slice::from_raw_parts(piece, n) };
            bytes.iter().all(|&b| b == mark)
        };
        // Miri takes its time for every byte.
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
                    // SAFETY: allocated with this layout, and forgotten here.
                    unsafe { heap.dealloc(piece, layout) };
                }
                1 if !held.is_empty() => {
                    let at = usize::try_from(next(held.len() as u64)).unwrap();
                    let (piece, old, mark) = held[at];
                    // SAFETY: allocated with the old layout, and the size is not zero.
                    let moved = unsafe { heap.realloc(piece, old, size) };
                    assert!(!moved.is_null() && full(moved, old.size().min(size), mark));
                    // SAFETY: the piece has that many bytes now.
                    unsafe { moved.write_bytes(mark, size) };
                    held[at] = (moved, Layout::from_size_align(size, old.align()).unwrap(), mark);
                }
                _ => {
                    // SAFETY: the size is not zero.
                    let piece = unsafe { heap.alloc(layout) };
                    assert!(!piece.is_null() && (piece as usize).is_multiple_of(layout.align()));
                    // SAFETY: the piece has that many bytes.
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
