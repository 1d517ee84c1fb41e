//! The heap of a simulated process: in its slot, so that fork copies it.

use crate::ARENA;
use crate::context::{OUT_OF_MEMORY, system_call};
use crate::image::{ARENA_SIZE, is_in_a_slot};
use std::alloc::{GlobalAlloc, Layout, System};

/// The smallest piece, and the size of the first class.
const SMALLEST: usize = 16;
/// 16 bytes to 32 KiB.
const CLASSES: usize = 12;
/// Freed pieces above the classes, whose sizes are remembered.
const LARGE: usize = 32;

/// The beginning of an arena.
#[repr(C)]
pub(crate) struct Arena {
    /// The length of what was ever used, this header included.
    used: usize,
    /// The length that it may have.
    limit: usize,
    free: [usize; CLASSES],
    /// Address and size of freed large pieces; address 0 for none.
    large: [(usize, usize); LARGE],
}

impl Arena {
    pub(crate) const fn new() -> Self {
        Self {
            used: size_of::<Self>(),
            limit: ARENA_SIZE,
            free: [0; CLASSES],
            large: [(0, 0); LARGE],
        }
    }

    /// From now on there is no new memory, as if mmap(2) failed. Freed pieces remain in use.
    pub(crate) const fn refuse_growth(&mut self) {
        self.limit = self.used;
    }

    /// The length of what was ever used.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    fn cut(&mut self, size: usize, align: usize) -> *mut u8 {
        let base = (&raw const *self) as usize;
        let start = (base + self.used).next_multiple_of(align);
        let end = start + size;
        if end > base + self.limit {
            return std::ptr::null_mut();
        }
        self.used = end - base;
        std::ptr::with_exposed_provenance_mut(start)
    }

    fn alloc(&mut self, layout: Layout) -> *mut u8 {
        let Some((class, size)) = class(layout) else {
            let size = large_size(layout);
            let fits = |piece: &&mut (usize, usize)| piece.1 == size;
            return match self.large.iter_mut().find(fits) {
                Some(piece) => std::ptr::with_exposed_provenance_mut(std::mem::take(piece).0),
                None => self.cut(size, 4096),
            };
        };
        let head = self.free[class];
        if head == 0 {
            return self.cut(size, size);
        }
        let piece = std::ptr::with_exposed_provenance_mut::<usize>(head);
        // SAFETY: `dealloc` has written the address of the next piece into the first word.
        self.free[class] = unsafe { piece.read() };
        piece.cast()
    }

    fn dealloc(&mut self, piece: *mut u8, layout: Layout) {
        let Some((class, _)) = class(layout) else {
            if let Some(place) = self.large.iter_mut().find(|place| place.0 == 0) {
                *place = (piece.expose_provenance(), large_size(layout));
            }
            return;
        };
        // SAFETY: the piece has at least 16 bytes, aligned, and the process does not use it any more.
        unsafe { piece.cast::<usize>().write(self.free[class]) };
        self.free[class] = piece.expose_provenance();
    }
}

fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    let class = (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize;
    (class < CLASSES).then_some((class, size))
}

fn large_size(layout: Layout) -> usize {
    layout.size().next_multiple_of(4096)
}

/// The global allocator of a simulator: a simulated process allocates in its arena.
pub struct Allocator;

// SAFETY: pieces of an arena do not overlap: each is cut once, and is in one free list or with its owner.
// Everything else is done by the system's allocator.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let arena = ARENA.get();
        if arena == 0 {
            // SAFETY: the caller's guarantee.
            return unsafe { System.alloc(layout) };
        }
        // SAFETY: the address is that of the arena of the running process, which one thread uses.
        let piece =
            unsafe { &mut *std::ptr::with_exposed_provenance_mut::<Arena>(arena) }.alloc(layout);
        if piece.is_null() {
            // The product's allocator ends the program too: it does not return null.
            // SAFETY: the simulator ends this process.
            unsafe { system_call(OUT_OF_MEMORY, [0; 6]) };
        }
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let arena = ARENA.get();
        if !is_in_a_slot(piece as usize) {
            // SAFETY: the piece is from the system's allocator.
            return unsafe { System.dealloc(piece, layout) };
        }
        if arena != 0 {
            // SAFETY: as in `alloc`.
            unsafe { &mut *std::ptr::with_exposed_provenance_mut::<Arena>(arena) }
                .dealloc(piece, layout);
        }
    }
}
