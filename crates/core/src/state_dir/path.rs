//! The path of a service's state directory, which SUPERVISEDIR can change.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// The state directory without SUPERVISEDIR, in the service directory.
pub const DEFAULT: &[u8] = b"supervise";

/// The state directory if SUPERVISEDIR is `base`: absolute, or relative to the service directory.
///
/// Without a base, or with an empty one, it is [`DEFAULT`]. A relative base is the state directory
/// itself. An absolute base contains a directory for every service, named after the path of the
/// service with colons for slashes: base `/run/sv` and service `/etc/service/foo` give
/// `/run/sv/etc:service:foo`. `service` returns the absolute path of the service directory, and is
/// called for an absolute base only.
///
/// # Errors
/// The error of `service`.
pub fn resolve<E>(
    base: Option<&[u8]>,
    service: impl FnOnce() -> Result<Vec<u8>, E>,
) -> Result<Cow<'_, [u8]>, E> {
    let base = base.filter(|b| !b.is_empty()).unwrap_or(DEFAULT);
    if !base.starts_with(b"/") {
        return Ok(Cow::Borrowed(base));
    }
    let path = service()?;
    let name = path.strip_prefix(b"/").unwrap_or(&path);
    let mut dir = base.to_vec();
    dir.push(b'/');
    dir.extend(name.iter().map(|&c| if c == b'/' { b':' } else { c }));
    Ok(Cow::Owned(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: Option<&[u8]>) -> Cow<'_, [u8]> {
        resolve(base, || Ok::<_, ()>(b"/etc/service/foo".to_vec())).unwrap()
    }

    #[test]
    fn paths_are_those_of_encore() {
        assert_eq!(*resolved(None), *b"supervise");
        assert_eq!(*resolved(Some(b"")), *b"supervise");
        assert_eq!(*resolved(Some(b"state/x")), *b"state/x");
        assert_eq!(*resolved(Some(b"/run/sv")), *b"/run/sv/etc:service:foo");
        assert_eq!(resolve(Some(b"/x"), || Err::<Vec<u8>, _>(5)), Err(5));
    }
}
