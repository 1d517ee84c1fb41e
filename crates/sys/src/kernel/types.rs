//! Types that both flavours share.

/// The kernel's set of signals: bit `n - 1` stands for signal `n`.
pub(crate) type RawSigset = u64;

/// The first fields of the kernel's `siginfo_t`, which has 128 bytes, for a signal with a value.
#[repr(C, align(8))]
pub(crate) struct QueuedSignal {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: i32,
    uid: u32,
    /// `sigval`: two numbers, of which `sival_int` is the first.
    values: [i32; 2],
    rest: [i32; 24],
}

impl QueuedSignal {
    /// The information that sigqueue(3) sends.
    pub(crate) const fn new(signal: i32, values: [i32; 2], pid: i32, uid: u32) -> Self {
        let code = SI_QUEUE;
        Self { signal, errno: 0, code, padding: 0, pid, uid, values, rest: [0; 24] }
    }
}

/// The code of a signal that sigqueue(3) sends.
pub(crate) const SI_QUEUE: i32 = -1;

/// A buffer for control messages, aligned for the kernel. The kernel discards what does not fit.
#[repr(align(8))]
pub(crate) struct ControlBuffer<const N: usize>(pub(crate) [u8; N]);

/// The result of `receive`.
pub(crate) struct Received {
    /// The number of bytes in the buffer.
    pub(crate) length: usize,
    /// The number of bytes in the [`ControlBuffer`].
    pub(crate) control: usize,
    /// The flags of the message, `MSG_TRUNC` and others.
    pub(crate) flags: u32,
}
