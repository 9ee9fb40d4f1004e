//! Opens the embedded store.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use healthimaging_local::{
    Grouping, LocalConfig, LocalStore, MigrationProgress, MigrationWatch, Probe, Quotas,
};
use healthimaging_objects::S3Config;
use healthimaging_pixels::Decoder;
use healthimaging_sandbox::this_binary;

use super::{BackendHandle, Opened, Traits, runner, s3};
use crate::config::Config;
use crate::{options, terminal};

/// Fails if the data folder holds no store.
pub(super) fn check_exists(config: &Config) -> Result<()> {
    let folder = &config.data_dir;
    ensure!(
        folder.exists() || !folder.is_symlink(),
        "{} is a symbolic link to a folder that does not exist: restore that folder (is its disk mounted?), or \
         correct --data-dir",
        folder.display()
    );
    check_folder(config)?;
    let entries = std::fs::read_dir(folder);
    ensure!(
        !entries.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied),
        "this user may not read the folder {}: change its permissions, or run as the user that owns it",
        folder.display()
    );
    ensure!(
        LocalStore::exists_in(folder),
        "there is no embedded store in {}: check --data-dir, or create one with `import`",
        folder.display()
    );
    Ok(())
}

/// Fails if the data folder is a file, or lies in one.
fn check_folder(config: &Config) -> Result<()> {
    let file = config.data_dir.ancestors().find(|path| path.is_file());
    if let Some(file) = file {
        bail!("--data-dir: {} is a file; name a folder", file.display());
    }
    Ok(())
}

pub(super) async fn open(config: &Config, decoder: Decoder) -> Result<Opened> {
    let s3 = s3(config).await;
    let store = open_store(self::config(config, s3.clone(), decoder), config).await?;
    let traits: Traits = (Arc::clone(&store) as _, Arc::clone(&store) as _);
    Ok(Opened { handle: BackendHandle::Local(store), traits, s3 })
}

pub(super) async fn open_store(local: LocalConfig, config: &Config) -> Result<Arc<LocalStore>> {
    check_folder(config)?;
    LocalStore::open(local).await.with_context(|| {
        format!("the embedded store in {} does not open", config.data_dir.display())
    })
}

/// Returns what the store is opened with.
pub(super) fn config(config: &Config, s3: S3Config, decoder: Decoder) -> LocalConfig {
    let mut local = LocalConfig::new(&config.data_dir);
    config.store_region().clone_into(&mut local.region);
    local.account_id = config.account_id.to_string();
    local.allowed_paths.clone_from(&config.allowed_paths);
    local.s3 = s3;
    local.decoder = decoder;
    local.run_jobs = !config.read_only;
    local.grouping = match config.grouping {
        options::Grouping::Service => Grouping::Service,
        options::Grouping::Strict => Grouping::Strict,
    };
    local.runner = runner(config);
    local.migrate = !config.read_only;
    local.migration = migration_watch();
    local.probe = this_binary().ok().map(probe);
    if config.aws_quotas {
        local.quotas = Quotas::AWS;
    }
    local
}

/// Returns a probe that tries a file by importing it into a store of its own.
fn probe(program: PathBuf) -> Probe {
    Probe::new(move |folder, file| {
        let mut command = Command::new(&program);
        command.args(["import", "--backend", "local", "--data-dir"]).arg(folder);
        command.arg("--").arg(file);
        command
    })
}

/// Shows the progress of a migration on stderr: a bar on a terminal, else some lines.
fn migration_watch() -> MigrationWatch {
    let bar = terminal::progress_bar("{bar:30} {percent} % {msg}");
    let next = AtomicU64::new(0);
    MigrationWatch::new(move |progress: MigrationProgress| {
        let MigrationProgress { from, to, rows_done, rows_total } = progress;
        let message = format!("of the embedded store migrated from format {from} to {to}");
        let percent = (rows_done * 100).checked_div(rows_total).unwrap_or(0);
        if bar.is_hidden() {
            let step = percent / 10 * 10;
            if step >= next.load(Ordering::Relaxed) {
                next.store(step + 10, Ordering::Relaxed);
                terminal::note(&format!("{step} % {message}"));
            }
            return;
        }
        bar.set_length(rows_total);
        bar.set_position(rows_done);
        bar.set_message(message);
        if rows_done == rows_total {
            bar.finish();
        }
    })
}
