//! Images for Amazon EC2: their options, so far.

use std::collections::BTreeMap;

use super::PostProcessorType;
use crate::template::hcl::value::Value;

crate::config! {
    /// How Amazon's services are reached.
    pub struct AwsOptions {
        /// AWS access key. Default: what the environment or the credentials file has.
        access_key: Option<String>,
        /// AWS secret key.
        #[sensitive]
        secret_key: Option<String>,
        /// AWS session token.
        #[sensitive]
        token: Option<String>,
        /// Region, such as `eu-central-1`.
        region: Option<String>,
        /// Profile of the credentials file.
        profile: Option<String>,
        /// The credentials file.
        shared_credentials_file: Option<String>,
        /// Code of a second factor.
        mfa_code: Option<String>,
        /// The EC2 service, where it is not Amazon's.
        custom_endpoint_ec2: Option<String>,
        /// Do not check certificates.
        insecure_skip_tls_verify: bool,
        /// How often to try again.
        max_retries: Option<u32>,
        /// Take any region.
        skip_region_validation: bool,
        /// Do not ask the host's metadata service.
        skip_metadata_api_check: bool,
        /// Do not try the credentials beforehand.
        skip_credential_validation: bool,
        /// Decode what Amazon says of requests it refuses.
        decode_authorization_messages: bool,
        /// A role to take on.
        assume_role: Value,
        /// How often to ask Amazon whether work is done.
        aws_polling: Value,
        /// Keys from Vault.
        vault_aws_engine: Value,
    }
}

crate::config! {
    /// Imports the image of a machine into Amazon EC2.
    pub struct AmazonImportConfig {
        /// Bucket the image goes through.
        #[required]
        s3_bucket_name: String,
        /// Name of the image in the bucket. Default: `packer-import-TIME`.
        s3_key_name: Option<String> as raw,
        /// How the image is encrypted in the bucket.
        #[values("AES256", "aws:kms")]
        s3_encryption: Option<String>,
        /// Key the image is encrypted with in the bucket.
        s3_encryption_key: Option<String>,
        /// Leave the image in the bucket.
        skip_clean: bool,
        /// Format of the image.
        #[values("ova", "raw", "vmdk", "vhd", "vhdx")]
        format: String = "ova".to_owned(),
        /// Architecture of the machine.
        #[values("x86_64", "arm64", "i386")]
        architecture: String = "x86_64".to_owned(),
        /// Operating system of the machine.
        #[values("linux", "windows")]
        platform: Option<String>,
        /// How the machine starts.
        #[values("legacy-bios", "uefi")]
        boot_mode: Option<String>,
        /// How the operating system is licensed: `AWS` or `BYOL`.
        license_type: Option<String>,
        /// Role that does the import. Default: `vmimport`.
        role_name: Option<String>,
        /// Name of the AMI.
        ami_name: Option<String> as raw,
        /// What is said of the AMI.
        ami_description: Option<String>,
        /// Accounts that may use the AMI.
        ami_users: Vec<String>,
        /// Groups that may use the AMI; `all` for everybody.
        ami_groups: Vec<String>,
        /// Organisations that may use the AMI.
        ami_org_arns: Vec<String>,
        /// Units of organisations that may use the AMI.
        ami_ou_arns: Vec<String>,
        /// Encrypt the AMI.
        ami_encrypt: bool,
        /// Key the AMI is encrypted with.
        ami_kms_key: Option<String>,
        /// Tags of the AMI.
        tags: BTreeMap<String, String>,
        aws: AwsOptions as flatten,
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType::described::<AmazonImportConfig>("amazon-import");
