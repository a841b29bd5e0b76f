use std::{env, sync::Arc, time::Duration};

use object_store::{ObjectStore, ObjectStoreScheme, parse_url_opts, prefix::PrefixStore};
use reqwest::Url;
use rustls::crypto::ring;
use tokio::time;
use tower_pyannote_archive::{Archive, Metadata};

use super::{
    Store, StoreError,
    directory::open_directory,
    probe::{Creation, creation},
};

/// Opens the store at a URL. An object is created and deleted as a test.
///
/// | URL | store | environment, as the store's own tools read it |
/// |---|---|---|
/// | `file:///DIRECTORY` | a directory, as [`open_directory`](crate::open_directory) opens it | |
/// | `s3://BUCKET/PREFIX` | S3, or a server with its API | `AWS_*`, such as `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` |
/// | `gs://BUCKET/PREFIX` | Google Cloud Storage | `GOOGLE_*`, such as `GOOGLE_APPLICATION_CREDENTIALS` |
/// | `az://CONTAINER/PREFIX` | Azure Blob Storage | `AZURE_*`, such as `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY` |
///
/// Other forms that [`ObjectStoreScheme`] knows work too, such as `https://BUCKET.s3.REGION.amazonaws.com/PREFIX`. All
/// variables are those of `object_store`'s builders. Without credentials in the environment, S3 and Google Cloud Storage
/// ask the metadata service of the machine.
///
/// A store that ignores `If-None-Match: *` is refused, unless `AWS_CONDITIONAL_PUT=disabled` is set. The archive then works as
/// [`Archive::without_conditional_create`](tower_pyannote_archive::Archive::without_conditional_create) says.
///
/// Installs `ring` as rustls' provider of the process, if none is installed.
///
/// # Errors
///
/// Returns [`StoreError`] if the URL is wrong, or the store does not accept a write within 30 s.
///
/// # Example: the archive of a receiver in S3
///
/// ```no_run
/// use pyannote_receiver::{Server, open_store};
/// use tower_pyannote::SecretSet;
/// use tower_pyannote_inbox::Inbox;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
/// let inbox = Inbox::open("postgres://localhost/pyannote").await?;
/// let store = open_store("s3://meetings/events").await?;
/// let server = Server::new(secrets, inbox, store);
/// # drop(server);
/// # Ok(())
/// # }
/// ```
pub async fn open_store(url: &str) -> Result<Store, StoreError> {
    let invalid = |reason: &str| StoreError::InvalidUrl {
        reason: reason.to_owned(),
    };
    let url = Url::parse(url).map_err(|error| invalid(&format!("it is no URL ({error})")))?;
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(
            "the URL of a store has no password, query or fragment, the environment has the credentials",
        ));
    }
    let scheme = ObjectStoreScheme::parse(&url);
    let (scheme, prefix) = scheme.map_err(|_| invalid("no store has such a URL"))?;
    let kind = match scheme {
        ObjectStoreScheme::Local => {
            let dir = url.to_file_path();
            let dir = dir.map_err(|()| invalid("the path is not absolute"))?;
            let opened = open_directory(dir).await;
            return opened.map_err(StoreError::Directory);
        }
        ObjectStoreScheme::AmazonS3 => S3,
        ObjectStoreScheme::GoogleCloudStorage => GOOGLE,
        ObjectStoreScheme::MicrosoftAzure => AZURE,
        _ => return Err(invalid("the store cannot hold an archive")),
    };
    if !kind.compiled {
        let feature = kind.feature;
        return Err(StoreError::MissingFeature { feature });
    }
    // Fails if the process has a provider, which is then used.
    let _ = ring::default_provider().install_default();
    let opened = parse_url_opts(&url, kind.variables());
    let (store, _) = opened.map_err(|source| kind.unusable(source))?;
    let store: Arc<dyn ObjectStore> = match prefix.is_root() {
        true => Arc::from(store),
        false => Arc::new(PrefixStore::new(store, prefix)),
    };
    let Ok(tested) = time::timeout(PATIENCE, creation(&*store)).await else {
        return Err(StoreError::TimedOut {
            seconds: PATIENCE.as_secs(),
            settings: kind.settings,
        });
    };
    let opened =
        Store::from(store).with_archive(|archive| archive.with_metadata(Metadata::Attributes));
    Ok(match tested.map_err(|source| kind.unusable(source))? {
        Creation::Conditional => opened,
        Creation::Overwrites => return Err(StoreError::NoConditionalCreate),
        Creation::Disabled => {
            tracing::warn!(
                "AWS_CONDITIONAL_PUT=disabled: duplicates that arrive at once may be archived twice, or overwrite each other"
            );
            opened.with_archive(Archive::without_conditional_create)
        }
    })
}

/// A kind of remote store.
struct Kind {
    feature: &'static str,
    compiled: bool,
    /// The prefix of its environment variables.
    prefix: &'static str,
    /// What an operator should look at when the store cannot be used.
    settings: &'static str,
}

impl Kind {
    /// Returns the environment variables for the store. Variables without its prefix are left out, because object_store would
    /// accept some of them, such as `TOKEN`.
    fn variables(&self) -> Vec<(String, String)> {
        let all = env::vars_os();
        let all = all.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        all.filter(|(name, value)| name.starts_with(self.prefix) && !value.is_empty())
            .collect()
    }

    fn unusable(&self, source: object_store::Error) -> StoreError {
        let settings = self.settings;
        StoreError::Unusable { source, settings }
    }
}

const S3: Kind = Kind {
    feature: "aws",
    compiled: cfg!(feature = "aws"),
    prefix: "AWS_",
    settings: "the bucket's name, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, for a server other than Amazon's \
               AWS_ENDPOINT_URL, and for one without TLS AWS_ALLOW_HTTP=true",
};

const GOOGLE: Kind = Kind {
    feature: "gcp",
    compiled: cfg!(feature = "gcp"),
    prefix: "GOOGLE_",
    settings: "the bucket's name, and GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY",
};

const AZURE: Kind = Kind {
    feature: "azure",
    compiled: cfg!(feature = "azure"),
    prefix: "AZURE_",
    settings: "the container's name, AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or another credential",
};

const PATIENCE: Duration = Duration::from_secs(30);
