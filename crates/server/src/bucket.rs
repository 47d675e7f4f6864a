//! The bucket of media, for those who open it: the start of the server, and `pixel doctor`.

use crate::config::Bucket;
use pixel_engine::fetch::tls_config;
use pixel_store::blobs::{ObjectOptions, check_bucket};

/// A bucket that cannot be used: what is wrong, and what to do.
pub struct Unusable {
    pub finding: String,
    pub remedy: &'static str,
}

/// `s3://bucket/prefix at https://…`.
pub fn shown(bucket: &Bucket) -> String {
    let slash = if bucket.prefix.is_empty() { "" } else { "/" };
    let endpoint = bucket.endpoint.as_deref().unwrap_or("AWS");
    format!("s3://{}{slash}{} at {endpoint}", bucket.name, bucket.prefix)
}

/// Lists, writes, reads and deletes a small object.
pub async fn check(bucket: &Bucket) -> Result<ObjectOptions, Unusable> {
    let unusable =
        |why: String| Unusable { remedy: remedy(&why), finding: format!("{} cannot be used: {why}", shown(bucket)) };
    let options = options(bucket).map_err(unusable)?;
    check_bucket(options.clone()).await.map_err(|error| unusable(error.to_string()))?;
    Ok(options)
}

/// The same with a sentence for whoever starts Pixel.
pub async fn checked(bucket: &Bucket) -> Result<ObjectOptions, String> {
    let sentence = |unusable: Unusable| format!("the media bucket {}. {}.", unusable.finding, unusable.remedy);
    check(bucket).await.map_err(sentence)
}

fn options(bucket: &Bucket) -> Result<ObjectOptions, String> {
    Ok(ObjectOptions {
        bucket: bucket.name.clone(),
        prefix: bucket.prefix.clone(),
        endpoint: bucket.endpoint.clone(),
        region: bucket.region.clone(),
        path_style: bucket.path_style,
        key_id: bucket.key_id.clone(),
        secret: bucket.secret.clone(),
        token: bucket.token.clone(),
        tls: tls_config()?,
    })
}

fn remedy(why: &str) -> &'static str {
    let keys = ["AccessKey", "Signature", "AccessDenied", "Token", "NotSignedUp", "refuses the key", "Forbidden"];
    if why.contains("NoSuchBucket") {
        "Make the bucket, or correct PIXEL_BLOBS"
    } else if keys.iter().any(|word| why.contains(word)) {
        "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, PIXEL_S3_REGION, and that the key may list, write, read and \
         delete under the prefix"
    } else {
        "Check PIXEL_S3_ENDPOINT, PIXEL_S3_REGION and PIXEL_S3_STYLE, and that the object store runs"
    }
}
