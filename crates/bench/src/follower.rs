//! What following the resources of tests costs ingest: uploads over HTTP with it, and while another holder keeps its lease.

use crate::fixture::Shape;
use crate::http;
use crate::setting::{Engine, Failure, Setting};
use casebook_model::time::DAY_US;
use casebook_storage::{DatabaseUrl, Store, leases};

/// Rounds of each kind, in turn: the machine's speed varies.
const ROUNDS: usize = 2;

pub(crate) fn measure(engine: Engine, shape: Shape) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let followed = http::uploads(&Setting::new(engine)?, shape)?;
        let setting = Setting::new(engine)?;
        let store = Store::open(&setting.database.url.parse::<DatabaseUrl>()?)?;
        let now = setting.app.now();
        let _ = store.write(|db| leases::claim(db, "resources", &[1; 16], now, now.plus(DAY_US)))?;
        let alone = http::uploads(&setting, shape)?;
        println!(
            "over HTTP, followed {followed:>9.0} results/s, not followed {alone:>9.0}: {:.3} of it",
            followed / alone
        );
    }
    Ok(())
}
