//! The probes of a process as the health check of a service.

use super::compose_fields::Fields;
use super::compose_process::Process;
use super::yaml::{Value, YamlError};
use crate::shell_words::quoted_text;
use std::path::Path;

impl Process<'_> {
    /// The health check. supervise has one, which also announces the readiness.
    pub(super) fn check(&mut self, dir: &Path) -> Result<(), YamlError> {
        let readiness = self.fields.nested("readiness_probe")?;
        let liveness = self.fields.nested("liveness_probe")?;
        let (mut fields, name) = match (readiness.is_empty(), liveness.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => {
                self.differs("liveness_probe: the service is ready when it succeeds");
                (liveness, "liveness_probe")
            }
            (false, is_alone) => {
                self.differs(
                    "readiness_probe: supervise restarts a service whose check fails (check-failures)",
                );
                if !is_alone {
                    self.lacks("liveness_probe: supervise has one check, that of readiness_probe");
                }
                (readiness, "readiness_probe")
            }
        };
        let mut exec = fields.nested("exec")?;
        let has_check = if let Some((line, text)) = exec.scalar("command")? {
            let command = self.command(&format!("{name}.exec.command"), line, &text)?;
            let command = match exec.scalar("working_dir")? {
                Some((line, text)) => {
                    let dir = dir.join(self.texts.complete("working_dir", line, &text)?);
                    let dir = quoted_text(&dir.to_string_lossy());
                    let line = format!("cd {dir} && exec {}", String::from_utf8_lossy(&command));
                    format!("sh -c {}", quoted_text(&line)).into_bytes()
                }
                None => command,
            };
            self.draft.script("check", &command);
            true
        } else {
            self.http(&mut fields, name)?
        };
        exec.rest(&mut self.draft.notes.missing);
        if has_check {
            let mut number = |key: &str, usual: &str| {
                let text = fields.text(key)?.filter(|text| text != "0");
                Ok::<_, YamlError>(text.unwrap_or_else(|| usual.to_owned()))
            };
            let period = number("period_seconds", "10")?;
            let limit = number("timeout_seconds", "1")?;
            let failures = number("failure_threshold", "3")?;
            let mut option = |name: &str, text: String| {
                let directive = format!("{name} {}", text.trim_end());
                self.draft.option(name, &text, directive);
            };
            option("check-interval", format!("{period}s\n"));
            option("timeout-check", format!("{limit}s\n"));
            option("check-failures", format!("{failures}\n"));
            if let Some(delay) = fields.text("initial_delay_seconds")? {
                self.differs(format!(
                    "initial_delay_seconds: {delay}: the first check comes {period} s after the start"
                ));
            }
            let _ = fields.text("success_threshold")?.filter(|count| count != "1").map(|count| {
                self.lacks(format!("{name}.success_threshold: {count} (one success is enough)"));
            });
        }
        fields.rest(&mut self.draft.notes.missing);
        Ok(())
    }

    /// A check through curl(1). Whether there is one.
    fn http(&mut self, fields: &mut Fields, name: &str) -> Result<bool, YamlError> {
        let mut http = fields.nested("http_get")?;
        if http.is_empty() {
            return Ok(false);
        }
        let mut part = |key: &str| -> Result<Option<String>, YamlError> {
            let Some((line, text)) = http.scalar(key)? else { return Ok(None) };
            let field = format!("{name}.http_get.{key}");
            self.texts
                .complete(&field, line, text.trim())
                .map(|it| Some(it).filter(|it| !it.is_empty()))
        };
        let scheme = part("scheme")?.unwrap_or_else(|| "http".to_owned());
        let host = part("host")?.unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = part("port")?.or(part("num_port")?);
        let path = part("path")?.unwrap_or_else(|| "/".to_owned());
        let status = part("status_code")?.unwrap_or_else(|| "200".to_owned());
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let mut headers = String::new();
        for (key, node) in http.nested("headers")?.into_entries() {
            let values = match node.value {
                Value::Sequence(items) => items.into_iter().map(|item| item.value).collect(),
                value => vec![value],
            };
            for value in values {
                if let Value::Scalar(value) = value {
                    headers += &format!(" -H {}", quoted_text(&format!("{key}: {value}")));
                }
            }
        }
        http.rest(&mut self.draft.notes.missing);
        let url = quoted_text(&format!("{scheme}://{host}{port}{path}"));
        let status = quoted_text(&status);
        self.draft.plain_script(
            "check",
            &format!(
                "[ \"$(curl -sL -o /dev/null -w '%{{http_code}}'{headers} {url})\" = {status} ]\n"
            ),
        );
        self.differs(format!("{name}.http_get: the script check needs curl(1)"));
        Ok(true)
    }
}
