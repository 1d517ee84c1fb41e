//! The memory of simulated processes.

use crate::arena::Arena;
use crate::context::{self, Call, SHARE_MEMORY, first_words};
use crate::{EXIT_BY_PANIC, system_call, variables};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE: usize = 4096;
const STACK_SIZE: usize = 256 * 1024;
/// The stack of a child that shares the memory.
const SIDE_SIZE: usize = 128 * 1024;
pub(crate) const ARENA_SIZE: usize = 4 * 1024 * 1024;
/// Each stack has an unmapped page below it.
const SLOT_SIZE: usize = PAGE + STACK_SIZE + PAGE + SIDE_SIZE + ARENA_SIZE;
const SLOTS: usize = 64;

/// The address of the first slot; 0 before the first use.
static FIRST_SLOT: AtomicUsize = AtomicUsize::new(0);

/// Whether an address is in the memory of simulated processes.
pub(crate) fn is_in_a_slot(address: usize) -> bool {
    let first = FIRST_SLOT.load(Relaxed);
    first != 0 && (first..first + SLOTS * SLOT_SIZE).contains(&address)
}

fn first_slot() -> usize {
    match FIRST_SLOT.load(Relaxed) {
        0 => map_slots(),
        first => first,
    }
}

fn map_slots() -> usize {
    const MMAP: usize = 9;
    const MPROTECT: usize = 10;
    const READ_WRITE: usize = 3;
    // MAP_PRIVATE, MAP_ANONYMOUS and MAP_NORESERVE.
    const FLAGS: usize = 0x2 | 0x20 | 0x4000;
    let arguments = [0, SLOTS * SLOT_SIZE, READ_WRITE, FLAGS, usize::MAX, 0];
    // SAFETY: a new mapping at an address that the kernel chooses.
    let first = unsafe { context::real_system_call(MMAP, arguments) };
    let first = usize::try_from(first).expect("memory for the slots");
    for slot in 0..SLOTS {
        for guard in [0, PAGE + STACK_SIZE] {
            let at = first + slot * SLOT_SIZE + guard;
            // SAFETY: the page is in the new mapping, and unused.
            unsafe { context::real_system_call(MPROTECT, [at, PAGE, 0, 0, 0, 0]) };
        }
    }
    FIRST_SLOT.store(first, Relaxed);
    first
}

thread_local! {
    /// The numbers of free slots.
    static FREE: RefCell<Vec<usize>> = RefCell::new((0..SLOTS).rev().collect());
    /// The image whose variables are in place.
    static VARIABLES: RefCell<Weak<Image>> = const { RefCell::new(Weak::new()) };
}

/// A range of addresses, for one process or several copies of it.
struct Slot {
    number: usize,
    /// The image whose contents are in place.
    loaded: RefCell<Weak<Image>>,
}

impl Slot {
    fn take() -> Rc<Self> {
        let number = FREE.with_borrow_mut(Vec::pop).expect("fewer processes than slots");
        Rc::new(Self { number, loaded: RefCell::default() })
    }

    fn base(&self) -> usize {
        first_slot() + self.number * SLOT_SIZE
    }

    fn stack_end(&self) -> usize {
        self.base() + PAGE + STACK_SIZE
    }

    fn side(&self) -> usize {
        self.stack_end() + PAGE
    }

    fn arena(&self) -> usize {
        self.side() + SIDE_SIZE
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // At the end of the thread there may be no list any more.
        let _ = FREE.try_with(|free| free.borrow_mut().push(self.number));
    }
}

/// The contents of a slot, and the variables.
struct Image {
    slot: Rc<Slot>,
    /// The stack pointer of the process that does not use the side stack.
    stack: Cell<usize>,
    has_side: Cell<bool>,
    /// The contents while those of another image are in place.
    saved: RefCell<Vec<(usize, Vec<u8>)>>,
    variables: RefCell<Vec<u8>>,
}

impl Image {
    /// The ranges of addresses with contents.
    fn ranges(&self) -> Vec<(usize, usize)> {
        let slot = &self.slot;
        // SAFETY: the contents of this image are in place, so there is an arena.
        let arena = unsafe { &*std::ptr::with_exposed_provenance::<Arena>(slot.arena()) };
        let mut ranges =
            vec![(self.stack.get(), slot.stack_end()), (slot.arena(), slot.arena() + arena.used())];
        if self.has_side.get() {
            ranges.push((slot.side(), slot.arena()));
        }
        ranges
    }

    fn contents(&self) -> Vec<(usize, Vec<u8>)> {
        let copy = |(from, to): (usize, usize)| {
            let start = std::ptr::with_exposed_provenance::<u8>(from);
            // SAFETY: the range is in the slot, and no process runs meanwhile.
            (from, unsafe { std::slice::from_raw_parts(start, to - from) }.to_vec())
        };
        self.ranges().into_iter().map(copy).collect()
    }

    /// Puts the contents in place.
    fn load(self: &Rc<Self>) {
        let is_self = |other: &Weak<Self>| std::ptr::eq(other.as_ptr(), Rc::as_ptr(self));
        if !is_self(&self.slot.loaded.borrow()) {
            if let Some(other) = self.slot.loaded.borrow().upgrade() {
                let contents = other.contents();
                *other.saved.borrow_mut() = contents;
            }
            for (start, bytes) in self.saved.take() {
                let start = std::ptr::with_exposed_provenance_mut::<u8>(start);
                // SAFETY: the bytes were copied from there.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
            }
            *self.slot.loaded.borrow_mut() = Rc::downgrade(self);
        }
        VARIABLES.with_borrow_mut(|loaded| {
            if !is_self(loaded) {
                if let Some(other) = loaded.upgrade() {
                    variables::save(&mut other.variables.borrow_mut());
                }
                variables::restore(&self.variables.borrow());
                *loaded = Rc::downgrade(self);
            }
        });
    }

    fn write(&self, address: usize, words: &[usize]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.write_bytes(address, &bytes);
    }

    fn write_bytes(&self, address: usize, bytes: &[u8]) {
        let range = self.slot.base()..self.slot.base() + SLOT_SIZE;
        assert!(range.contains(&address) && range.contains(&(address + bytes.len())));
        let start = std::ptr::with_exposed_provenance_mut::<u8>(address);
        // SAFETY: the addresses are in the slot, and no process runs meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
    }
}

/// A program: gets the initial stack pointer, as the kernel passes it, and ends with a system call.
pub type Program = unsafe fn(*const usize) -> !;

/// A simulated process.
pub struct Process {
    image: Rc<Image>,
    /// The stack pointer.
    stack: usize,
    /// It shares the memory of its parent.
    is_on_side: bool,
}

/// What the first function of a process needs.
#[repr(C)]
struct First {
    program: Program,
    stack: *const usize,
}

extern "C" fn first(first: *const First) -> ! {
    // SAFETY: `Process::start` has prepared it in the memory of this process.
    let &First { program, stack } = unsafe { &*first };
    // SAFETY: the stack is in the kernel's form.
    let _ = catch_unwind(AssertUnwindSafe(|| -> () { unsafe { program(stack) } }));
    loop {
        // SAFETY: the simulator ends this process.
        unsafe { system_call(EXIT_BY_PANIC, [0; 6]) };
    }
}

impl Process {
    /// A new process that runs `program` with these arguments and this environment. `path` is that of
    /// the executed file.
    #[must_use]
    pub fn start(
        program: Program,
        path: &[u8],
        arguments: &[Vec<u8>],
        environment: &[Vec<u8>],
    ) -> Self {
        const AT_EXECFN: usize = 31;
        let slot = Slot::take();
        let image = Rc::new(Image {
            stack: Cell::new(slot.stack_end()),
            slot,
            has_side: Cell::new(false),
            saved: RefCell::default(),
            variables: RefCell::new(variables::first()),
        });
        let arena = std::ptr::with_exposed_provenance_mut::<Arena>(image.slot.arena());
        // SAFETY: the arena is in the slot, aligned to a page, and of no other process.
        unsafe { arena.write(Arena::new()) };
        let mut top = image.slot.stack_end() - 64;
        let mut place = |text: &[u8]| {
            top -= text.len() + 1;
            image.write_bytes(top, text);
            image.write_bytes(top + text.len(), &[0]);
            top
        };
        let executed = place(path);
        let mut words = vec![arguments.len()];
        words.extend(arguments.iter().map(|text| place(text)));
        words.push(0);
        words.extend(environment.iter().map(|text| place(text)));
        words.extend([0, AT_EXECFN, executed, 0, 0]);
        let initial = (top - words.len() * size_of::<usize>()) & !15;
        image.write(initial, &words);
        let first_at = initial - 16;
        image.write(first_at, &[program as *const () as usize, initial]);
        let mut process = Self { image, stack: first_at, is_on_side: false };
        process.prepare(first as *const () as usize, first_at);
        process
    }

    /// Prepares the stack below the present one for a function.
    fn prepare(&mut self, function: usize, argument: usize) {
        let words = first_words(function, argument);
        self.set_stack((self.stack & !15) - size_of_val(&words));
        self.image.write(self.stack, &words);
        // Its contents are in place.
        *self.image.slot.loaded.borrow_mut() = Rc::downgrade(&self.image);
    }

    fn set_stack(&mut self, stack: usize) {
        self.stack = stack;
        if !self.is_on_side {
            self.image.stack.set(stack);
        }
    }

    /// Puts its memory in place, for the kernel's access to it.
    pub fn load(&self) {
        self.image.load();
    }

    /// From now on it gets no new memory.
    pub fn refuse_memory(&self) {
        self.load();
        let arena = std::ptr::with_exposed_provenance_mut::<Arena>(self.image.slot.arena());
        // SAFETY: its memory is in place, and no process runs meanwhile.
        unsafe { &mut *arena }.refuse_growth();
    }

    /// Lets it run until its next call; `result` is that of the last one.
    pub fn run(&mut self, result: isize) -> Call {
        self.load();
        // SAFETY: its memory is in place, and its stack pointer is from the last call.
        let (stack, call) = unsafe { context::run(self.stack, self.image.slot.arena(), result) };
        self.set_stack(stack);
        call
    }

    /// A copy, for fork.
    #[must_use]
    pub fn copy(&self) -> Self {
        assert!(!self.is_on_side, "a child that shares memory does not fork");
        self.load();
        let mut values = Vec::new();
        variables::save(&mut values);
        let image = Image {
            slot: Rc::clone(&self.image.slot),
            stack: Cell::new(self.stack),
            has_side: Cell::new(false),
            saved: RefCell::new(self.image.contents()),
            variables: RefCell::new(values),
        };
        Self { image: Rc::new(image), stack: self.stack, is_on_side: false }
    }

    /// If the call is that of [`crate::share_memory`]: the child, and whether it shares the descriptors.
    #[must_use]
    pub fn sharing_child(&self, call: Call) -> Option<(Self, bool)> {
        let Call { number: SHARE_MEMORY, arguments: [entry, argument, same, ..] } = call else {
            return None;
        };
        self.load();
        self.image.has_side.set(true);
        let image = Rc::clone(&self.image);
        let stack = image.slot.arena();
        let mut child = Self { image, stack, is_on_side: true };
        child.prepare(entry, argument);
        Some((child, same != 0))
    }
}
