//! Numbered pages, counted from either end.

use std::ops::Range;

/// The page that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its number; negative ones count from the end.
    pub page: i64,
    /// Rows of a page, at least 1.
    pub size: i64,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub enum Paged<T> {
    /// There is nothing, and the first page was asked for.
    Nothing,
    /// There is no such page.
    NoSuchPage,
    /// A page.
    Page {
        /// What is on it.
        items: Vec<T>,
        /// Its number, counted from 1.
        page: i64,
        /// How many there are.
        pages: i64,
    },
}

/// Where the wanted page is in a listing.
pub(crate) enum Place {
    Nothing,
    NoSuchPage,
    Rows { page: i64, pages: i64, rows: Range<i64> },
}

impl Wanted {
    /// The place of the page in a listing of `total` rows.
    pub(crate) fn place(self, total: i64) -> Place {
        let size = self.size.max(1);
        let pages = (total + size - 1) / size;
        let page = if self.page < 0 { pages.saturating_add(self.page).saturating_add(1) } else { self.page };
        if total == 0 && self.page == 1 {
            Place::Nothing
        } else if (1..=pages).contains(&page) {
            Place::Rows { page, pages, rows: (page - 1) * size..(page * size).min(total) }
        } else {
            Place::NoSuchPage
        }
    }

    /// The page of a listing that is at hand as a whole.
    #[must_use]
    pub fn of<T>(self, items: Vec<T>) -> Paged<T> {
        match self.place(items.len() as i64) {
            Place::Nothing => Paged::Nothing,
            Place::NoSuchPage => Paged::NoSuchPage,
            Place::Rows { page, pages, rows } => {
                let items =
                    items.into_iter().skip(rows.start as usize).take((rows.end - rows.start) as usize);
                Paged::Page { items: items.collect(), page, pages }
            }
        }
    }
}
