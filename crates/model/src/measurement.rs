//! Measurements: what pytest-monitor says of its sessions and of what each test took.

use crate::closed_set;
use crate::resources::Resources;

closed_set! {
    /// What a text that many metrics share says about them.
    MetricWord {
        /// Identifier of the session.
        Session = 1, "session";
        /// Identifier of the execution context: the machine.
        Context = 2, "context";
        /// Name of the test without its parameters.
        Item = 3, "item";
        /// Name of the test with its parameters.
        Variant = 4, "variant";
        /// `function`, `module` ...
        Kind = 5, "kind";
        /// The component; empty for none.
        Component = 6, "component";
        /// Import path of the module.
        Path = 7, "path";
        /// File, relative to where pytest began.
        Location = 8, "location";
    }
}

closed_set! {
    /// What is measured.
    Resource {
        /// Wall seconds.
        TotalTime = 1, "total_time";
        /// User CPU seconds.
        UserTime = 2, "user_time";
        /// Kernel CPU seconds.
        KernelTime = 3, "kernel_time";
        /// Share of one core.
        Cpu = 4, "cpu";
        /// MiB above a baseline; may be negative.
        Memory = 5, "memory";
    }
}

/// One measured test or module. Texts are as they were sent, doubles bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The texts that metrics share, in the order of [`MetricWord::ALL`].
    pub words: [String; 8],
    /// When it began, as sent.
    pub started: String,
    /// The values, in the order of [`Resource::ALL`]; finite.
    pub values: [f64; 5],
}

impl Metric {
    /// One of its texts.
    #[must_use]
    pub fn word(&self, word: MetricWord) -> &str {
        self.words.get(word.code() as usize - 1).map_or("", String::as_str)
    }

    /// What it says of resources.
    #[must_use]
    pub fn resources(&self) -> Resources {
        let [wall, user, kernel, cpu, memory] = self.values;
        Resources {
            wall_seconds: Some(wall),
            user_seconds: Some(user),
            system_seconds: Some(kernel),
            cpu_share: Some(cpu),
            memory_mib: Some(memory),
        }
    }
}

/// A session: one pytest run with measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub key: String,
    /// When it began, in the one form in which it is shown.
    pub run_date: String,
    /// The commit or change it ran on, as sent.
    pub scm_ref: Option<String>,
    /// Its tags in the order in which they were sent.
    pub tags: Vec<(String, Option<String>)>,
}

impl Session {
    /// The value of a tag, if there is one that is not empty.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        let found = self.tags.iter().find(|(tag, _)| tag == name)?;
        found.1.as_deref().filter(|value| !value.is_empty())
    }

    /// The pipeline it belongs to.
    #[must_use]
    pub fn pipeline(&self) -> Option<&str> {
        self.tag("pipeline_branch")
    }

    /// The build of the pipeline.
    #[must_use]
    pub fn build(&self) -> Option<&str> {
        self.tag("pipeline_build_no")
    }
}
