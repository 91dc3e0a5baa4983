//! A page of a list, by its place.

/// Which part of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows to pass over.
    pub offset: i64,
    /// Rows to read at most.
    pub limit: i64,
}

impl Page {
    /// Reads the page from that end of a list of `total` rows which is nearer, so that last pages cost no more than first
    /// ones. `read` gets how many rows to read, and from where. What is added behind the page meanwhile does not move it.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn by_nearer_end<T, E>(
        self,
        total: i64,
        read: impl FnOnce(i64, Side) -> Result<Vec<T>, E>,
    ) -> Result<Vec<T>, E> {
        let Self { offset, limit } = self;
        // The last page is rarely full.
        let limit = limit.min(total - offset).max(0);
        if offset <= total - offset - limit {
            return read(limit, Side::Start { offset });
        }
        let mut items = read(limit, Side::End { to: offset + limit })?;
        items.reverse();
        Ok(items)
    }
}

/// From which end a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// In order, behind so many rows.
    Start { offset: i64 },
    /// In reverse order, from that row of the list backwards, counted from 1. How many rows lie behind it is known to the
    /// statement alone, in which nothing moves.
    End { to: i64 },
}

/// Part of a list, and how long the whole is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of the page.
    pub items: Vec<T>,
    /// Rows of the whole list.
    pub total: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_from_either_end_are_the_same() {
        let list: Vec<i64> = (0..23).collect();
        for offset in 0..26 {
            for limit in [0, 1, 10, 40] {
                let mut passed_over = 0;
                let items = Page { offset, limit }.by_nearer_end(23, |limit, side| {
                    let (all, offset): (Vec<i64>, i64) = match side {
                        Side::Start { offset } => (list.clone(), offset),
                        Side::End { to } => (list.iter().rev().copied().collect(), (23 - to).max(0)),
                    };
                    passed_over = offset;
                    Ok::<_, ()>(all.into_iter().skip(offset as usize).take(limit as usize).collect())
                });
                let expected: Vec<i64> =
                    list.iter().copied().skip(offset as usize).take(limit as usize).collect();
                assert_eq!(items, Ok(expected), "{offset} {limit}");
                assert!(passed_over <= 12, "{offset} {limit}: {passed_over} rows passed over");
            }
        }
    }
}
