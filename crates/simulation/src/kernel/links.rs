//! Links in the scan directory.

use super::state::Kernel;
use super::tables::Program;

impl Kernel {
    /// Makes or removes the link of a service.
    pub(crate) fn link(&mut self, service: usize, there: bool) {
        self.world.linked[service] = there;
        self.world.had_to_stop[service] = true;
        let alone = |dir: usize| {
            let is = |program| matches!(program, Program::Supervise { dir: d, .. } if d == dir);
            self.find(is).is_none()
        };
        self.world.left_running[service] =
            !there && (alone(2 * service) || self.world.logged[service] && alone(2 * service + 1));
        if self.world.watched {
            self.world.changes.push((service, there));
        }
    }
}
