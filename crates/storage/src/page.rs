//! A page of a list, by its place.

/// Which part of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows to pass over.
    pub offset: i64,
    /// Rows to read at most.
    pub limit: i64,
}

/// Part of a list, and how long the whole is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of the page.
    pub items: Vec<T>,
    /// Rows of the whole list.
    pub total: i64,
}
