//! The names of open elements, in one text.

use crate::Malformed;

/// Open elements, outermost first.
#[derive(Default)]
pub(super) struct Elements {
    names: String,
    begins: Vec<usize>,
}

impl Elements {
    pub(super) fn open(&mut self, name: &str) {
        self.begins.push(self.names.len());
        self.names.push_str(name);
    }

    /// Closes the innermost element, which must have this name.
    pub(super) fn close(&mut self, name: &str) -> Result<(), Malformed> {
        let short = |name: &str| name.chars().take(80).collect::<String>();
        let Some(begin) = self.begins.pop() else {
            return Err(Malformed::NotXml(format!("</{}> closes no element", short(name))));
        };
        let opened = self.names.get(begin..).unwrap_or_default();
        if opened != name {
            return Err(Malformed::NotXml(format!("</{}> closes <{}>", short(name), short(opened))));
        }
        self.names.truncate(begin);
        Ok(())
    }
}
