//! Internal numbers of things. Numbers below a suite count from 1 within that suite.

macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl $name {
            /// The number itself, as it is stored.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }
    )+};
}

numbers! {
    /// An organization, the tenant that owns suites.
    OrganizationId;
    /// A suite; unique over the whole installation.
    SuiteId;
    /// A run within its suite, in order of first arrival.
    RunId;
    /// A test within its suite, in order of first arrival.
    TestId;
    /// An accepted upload within its suite. Given in the order of commit, so it is also the order of the fold.
    UploadId;
    /// A variant within its suite.
    VariantId;
    /// A machine within its suite.
    MachineId;
    /// A token.
    TokenId;
    /// A user.
    UserId;
    /// A webhook; unique over the whole installation.
    WebhookId;
    /// A delivery of an event to a webhook; unique over the whole installation.
    DeliveryId;
}

/// One attempt of one test in one run.
///
/// `attempt` counts all results of the test in the run from 1 in order of arrival, over every variant and instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId {
    /// The run.
    pub run: RunId,
    /// The test.
    pub test: TestId,
    /// Place among the results of this test in this run, from 1.
    pub attempt: i64,
}
