//! Configuration: flags, then the environment, then a `.env` file, and what each of them may decide.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};

use crate::cli::{Options, is_filled};
use crate::grants::{FileError, GrantFile, Grants, Secret};
use crate::secret::SecretValue;

mod env_file;
mod key;

/// The grant of the built-in component.
const DEFAULT_GRANTS: &str = include_str!("../../grants/aigateway.toml");

/// Files larger than this are not what they should be.
const MOST_BYTES: u64 = 1 << 20;

/// What the host runs with: everything read, resolved and checked.
pub(crate) struct Config {
    /// What the component may reach.
    pub(crate) grants: Grants,
    /// The secrets that are configured, by their names in the grant.
    pub(crate) secrets: HashMap<String, SecretValue>,
    /// Whether a key that a call brings may be sent to the base URL.
    pub(crate) keys_per_call: KeysPerCall,
    /// Another component than the built-in one.
    pub(crate) component: Option<PathBuf>,
    /// The lock that the component, its tools and its grants must agree with.
    pub(crate) lock: Option<PathBuf>,
    /// Where decisions are put on record.
    pub(crate) audit: Option<AuditLog>,
    /// Whether a component under evaluation may make requests that no rule allows.
    pub(crate) observe: bool,
}

/// Set when nobody waits for the configuration any more.
pub(crate) type Stop = AtomicBool;

/// The audit log, as it is configured.
pub(crate) struct AuditLog {
    /// The file.
    pub(crate) file: PathBuf,
    /// Whether each record waits for the disk.
    pub(crate) sync: bool,
    /// After how many MiB the next file begins.
    pub(crate) rotate_mib: u64,
}

/// Whether the base URL was chosen by somebody who may also be trusted with a key from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysPerCall {
    /// The operator chose the base URL.
    Accepted,
    /// A `.env` that merely lies in the working directory chose it: a key that somebody types into a conversation
    /// must not go wherever the repository that is open wants it to.
    Refused,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A flag, the environment, or a file that a flag names: the operator.
    Operator,
    /// A `.env` in the working directory: whoever wrote what is open there.
    WorkingDirectory,
}

/// The variables, each with where it came from.
struct Variables {
    url_flag: Option<String>,
    file: HashMap<String, String>,
    file_source: Source,
    file_name: PathBuf,
}

impl Config {
    /// Reads and checks the whole configuration. A command that is asked for the key is ended when `stop` is set.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with the name of the variable, flag or file, and what it should look like.
    pub(crate) fn load(options: &Options, stop: &Stop) -> Result<Self> {
        // The command line's definition says so, too, but not for flags on both sides of a command.
        if options.observe && (options.read_only || options.lock.is_some()) {
            bail!("--observe lets more through than is granted: it cannot be used with --read-only or --lock");
        }
        let variables = Variables::load(options)?;
        let file = read_grants(options)?;
        let secrets = read_secrets(options, &variables, file.secrets(), stop)?;
        let foreign_key = secrets.values().any(|(_, source)| *source == Source::Operator);
        let variable = file.variable().map(str::to_owned);
        if options.url.is_some() && variable.is_none() {
            bail!("--url has no effect: the grant file names the base URL itself");
        }
        let (url, keys_per_call) = match variable.as_deref().and_then(|name| variables.url(name)) {
            Some((_, Source::WorkingDirectory)) if foreign_key => {
                variables.warn_of_ignored_url(variable.as_deref().unwrap_or_default());
                (None, KeysPerCall::Accepted)
            }
            Some((url, Source::WorkingDirectory)) => (Some(url), KeysPerCall::Refused),
            Some((url, Source::Operator)) => (Some(url), KeysPerCall::Accepted),
            None => (None, KeysPerCall::Accepted),
        };
        let grants = file.resolve(url).map_err(|error| in_grants(options, &error))?;
        Ok(Self {
            grants: adjust(grants, options),
            secrets: secrets.into_iter().map(|(name, (value, _))| (name, value)).collect(),
            keys_per_call,
            component: options.component.clone(),
            lock: options.lock.clone(),
            audit: variables.audit_log(options),
            observe: options.observe,
        })
    }

    /// Whether it is the built-in component that runs, with no file to be read, and nothing to be compared, recorded or
    /// observed: then nothing needs to be loaded before it is asked for.
    pub(crate) fn is_plain(&self) -> bool {
        let files = [&self.component, &self.lock];
        let no_file = files.iter().all(|file| file.is_none()) && self.grants.ca_file.is_none();
        no_file && self.audit.is_none() && !self.observe
    }
}

impl Variables {
    fn load(options: &Options) -> Result<Self> {
        let (file_name, file_source) = match &options.env_file {
            Some(file) => (file.clone(), Source::Operator),
            None => (PathBuf::from(".env"), Source::WorkingDirectory),
        };
        let text = read_text(&file_name);
        let file = match (file_source, text) {
            (Source::Operator, text) => {
                let (variables, malformed) = env_file::parse(&text.context("--env-file")?);
                if let Some(line) = malformed {
                    bail!("`{}`, line {line}: not of the form NAME=value", file_name.display());
                }
                variables
            }
            // Somebody's `.env` may be in any form, or none: what can be read of it is taken.
            (Source::WorkingDirectory, text) => env_file::parse(&text.unwrap_or_default()).0,
        };
        Ok(Self { url_flag: options.url.clone(), file, file_source, file_name })
    }

    /// The value of a variable. An empty one, and one that a bundle left unfilled (`${user_config.x}`), is none.
    fn get(&self, name: &str) -> Option<(String, Source)> {
        let environment = std::env::var(name).ok().map(|value| (value, Source::Operator));
        let file = || self.file.get(name).map(|value| (value.clone(), self.file_source));
        environment.filter(is_set).or_else(file).filter(is_set)
    }

    /// The value of the base URL's variable, for which there is a flag.
    fn url(&self, name: &str) -> Option<(String, Source)> {
        self.url_flag.clone().map(|url| (url, Source::Operator)).or_else(|| self.get(name))
    }

    /// Where the operator wants the audit log; a file in the working directory does not decide what is written where.
    fn audit_log(&self, options: &Options) -> Option<AuditLog> {
        let variable = || match self.get("AIGATEWAY_AUDIT_LOG") {
            Some((file, Source::Operator)) => Some(PathBuf::from(file)),
            _ => None,
        };
        let file = options.audit_log.clone().or_else(variable)?;
        Some(AuditLog { file, sync: options.audit_sync, rotate_mib: options.audit_rotate })
    }

    fn warn_of_ignored_url(&self, variable: &str) {
        crate::log::warn(&format!(
            "{variable} in `{0}` is ignored: the key came from elsewhere, and a file that merely lies in the working \
             directory does not decide where it is sent; hint: start with --env-file {0} to use it",
            self.file_name.display(),
        ));
    }
}

/// The configured secrets, and where each came from: a flag, or else its variable.
fn read_secrets(
    options: &Options,
    variables: &Variables,
    granted: &[Secret],
    stop: &Stop,
) -> Result<HashMap<String, (SecretValue, Source)>> {
    let by_flag = key::by_flag(options, stop)?;
    let mut secrets = HashMap::new();
    match (by_flag, granted) {
        (None, _) => {}
        (Some(value), [secret]) => _ = secrets.insert(secret.name.clone(), (value, Source::Operator)),
        (Some(_), _) => bail!("--api-key-file and --api-key-command need a grant file that names exactly one secret"),
    }
    for secret in granted {
        let Some((text, source)) = variables.get(&secret.env) else { continue };
        if secrets.contains_key(&secret.name) {
            continue;
        }
        let value = SecretValue::parse(&text)
            .with_context(|| format!("{} is not a usable key; it should look like `ak_…`, on one line", secret.env))?;
        secrets.insert(secret.name.clone(), (value, source));
    }
    Ok(secrets)
}

fn is_set((value, _): &(String, Source)) -> bool {
    is_filled(value)
}

/// The grant file: the one that is named, the built-in one for the built-in component, or else nothing.
fn read_grants(options: &Options) -> Result<GrantFile> {
    let text = match (&options.grants, &options.component) {
        (Some(file), _) => read_text(file).context("--grants")?,
        (None, None) => DEFAULT_GRANTS.to_owned(),
        (None, Some(component)) => {
            bail!("nothing is granted to `{}`; name a grant file with --grants", component.display())
        }
    };
    GrantFile::parse(&text).map_err(|error| in_grants(options, &error))
}

fn in_grants(options: &Options, error: &FileError) -> anyhow::Error {
    match &options.grants {
        Some(file) => anyhow::anyhow!("`{}`, {error}", file.display()),
        // The built-in file is in order: what is wrong is what a variable put in.
        None => anyhow::anyhow!("{}", error.message),
    }
}

fn adjust(grants: Grants, options: &Options) -> Grants {
    let mut grants = if options.read_only { grants.read_only() } else { grants };
    if let Some(file) = &options.ca_file {
        grants.ca_file = Some(file.display().to_string());
    }
    grants
}

/// Reads a file that a person wrote.
pub(crate) fn read_text(file: &Path) -> Result<String> {
    let name = Name(file);
    let metadata = std::fs::metadata(file).with_context(|| format!("cannot read {name}"))?;
    if !metadata.is_file() {
        bail!("{name} is not a file");
    }
    if metadata.len() > MOST_BYTES {
        bail!("{name} has {} bytes; such a file has at most {MOST_BYTES}", metadata.len());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
    String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{name} is not UTF-8 text"))
}

struct Name<'a>(&'a Path);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.display())
    }
}
