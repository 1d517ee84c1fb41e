//! Where a service's state lives: `supervise/` in its directory, or where SUPERVISEDIR says.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// The directory used without SUPERVISEDIR.
pub const DEFAULT: &[u8] = b"supervise";

/// The state directory for `SUPERVISEDIR` = `base`, seen from the service directory, whose
/// absolute path `service` gives when it is needed. Without a base, or with an empty one (which
/// would mean the root directory), it is [`DEFAULT`].
///
/// A relative base is a name in the service directory; an absolute one holds a directory for
/// every service, named after its path with the slashes turned into colons: base `/run/sv` and
/// service `/etc/service/foo` make `/run/sv/etc:service:foo`.
///
/// # Errors
/// What `service` says.
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
    fn encores_rules() {
        assert_eq!(*resolved(None), *b"supervise");
        assert_eq!(*resolved(Some(b"")), *b"supervise");
        assert_eq!(*resolved(Some(b"state/x")), *b"state/x");
        assert_eq!(*resolved(Some(b"/run/sv")), *b"/run/sv/etc:service:foo");
        assert_eq!(resolve(Some(b"/x"), || Err::<Vec<u8>, _>(5)), Err(5));
    }
}
