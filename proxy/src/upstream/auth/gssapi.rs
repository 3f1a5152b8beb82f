//! The host's Kerberos by its GSS-API (RFC 2744), loaded when it is first wanted: Larder neither needs it to be built
//! nor to run. Calls may ask the network and take long: never from a thread that serves connections.
#![expect(
    unsafe_code,
    reason = "a library of C that is loaded at run time has no safe interface; this module is all there is of it"
)]

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

/// MIT's, by the name that its packages install for programs (without those for building).
const NAME: &str = "libgssapi_krb5.so.2";

/// 1.3.6.1.5.5.2: SPNEGO, in DER without its head.
static SPNEGO: [u8; 6] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.2.840.113554.1.2.2: Kerberos.
static KERBEROS: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// `GSS_C_NT_HOSTBASED_SERVICE`: `service@host`; the library may look for the host's canonical name.
static HOST_BASED: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04];
/// `GSS_KRB5_NT_PRINCIPAL_NAME`: taken as it is.
static PRINCIPAL: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01];

const CONTINUE_NEEDED: u32 = 1;
/// Calling and routine errors (RFC 2744 section 3.9.1).
const ERRORS: u32 = 0xffff_0000;
const BY_GSS: i32 = 1;
const BY_MECHANISM: i32 = 2;

/// `gss_buffer_desc`.
#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

/// `gss_OID_desc`.
#[repr(C)]
struct Oid {
    length: u32,
    elements: *mut c_void,
}

type Handle = *mut c_void;
type ImportName = unsafe extern "C" fn(*mut u32, *mut Buffer, *mut Oid, *mut Handle) -> u32;
type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *mut Oid,
    u32,
    u32,
    *mut c_void,
    *mut Buffer,
    *mut *mut Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type DisplayStatus = unsafe extern "C" fn(*mut u32, u32, i32, *mut Oid, *mut u32, *mut Buffer) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
type ReleaseName = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;
type DeleteSecContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;

/// The functions that are used. The library stays loaded for as long as the process lives.
struct Functions {
    import_name: ImportName,
    init_sec_context: InitSecContext,
    display_status: DisplayStatus,
    release_buffer: ReleaseBuffer,
    release_name: ReleaseName,
    delete_sec_context: DeleteSecContext,
}

fn functions() -> Result<&'static Functions, String> {
    static LOADED: OnceLock<Functions> = OnceLock::new();
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    // A failure is not kept: the library may be installed while Larder runs.
    let found = load().map_err(|error| error.to_string())?;
    Ok(LOADED.get_or_init(|| found))
}

fn load() -> Result<Functions, libloading::Error> {
    // SAFETY: the constructors of the system's own GSS-API library have no demands on who loads it.
    let library = unsafe { Library::new(NAME) }?;
    // SAFETY: the types are those of RFC 2744's C bindings on platforms where they are not packed (all but macOS).
    let functions = unsafe {
        Functions {
            import_name: *library.get::<ImportName>(b"gss_import_name\0")?,
            init_sec_context: *library.get::<InitSecContext>(b"gss_init_sec_context\0")?,
            display_status: *library.get::<DisplayStatus>(b"gss_display_status\0")?,
            release_buffer: *library.get::<ReleaseBuffer>(b"gss_release_buffer\0")?,
            release_name: *library.get::<ReleaseName>(b"gss_release_name\0")?,
            delete_sec_context: *library.get::<DeleteSecContext>(b"gss_delete_sec_context\0")?,
        }
    };
    // The pointers must stay good: it is never unloaded, as Kerberos itself would not like that either.
    std::mem::forget(library);
    Ok(functions)
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The library cannot be loaded; what the loader said.
    NotInstalled(String),
    /// What the library said.
    Said(String),
}

/// How a service is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// `HTTP@host`: the library looks for the canonical name, if the host's configuration says so.
    OfHost(String),
    /// `HTTP/host` or `HTTP/host@REALM`, taken as it is.
    Principal(String),
}

/// A conversation with one service under way. Not to be used by two threads at a time, which `&mut` sees to.
pub(super) struct Context {
    functions: &'static Functions,
    context: Handle,
    name: Handle,
    mechanism: &'static [u8],
}

// SAFETY: the library allows a context to be used by one thread after another; it keeps nothing in the thread.
unsafe impl Send for Context {}

impl Context {
    /// Begins with a service.
    pub(super) fn new(service: &Service) -> Result<Self, Failure> {
        let functions = functions().map_err(Failure::NotInstalled)?;
        let (text, kind) = match service {
            Service::OfHost(text) => (text, &HOST_BASED),
            Service::Principal(text) => (text, &PRINCIPAL),
        };
        let mut text = borrowed(text.as_bytes());
        let mut kind = oid(kind.as_slice());
        let (mut minor, mut name) = (0, ptr::null_mut());
        // SAFETY: every pointer is to a value that lives until the call returns; the library copies both.
        let major = unsafe { (functions.import_name)(&raw mut minor, &raw mut text, &raw mut kind, &raw mut name) };
        if major & ERRORS != 0 {
            return Err(Failure::Said(functions.words(major, minor)));
        }
        Ok(Self { functions, context: ptr::null_mut(), name, mechanism: &SPNEGO })
    }

    /// The next token for the service, by the tickets that the host has now; `token` is what the service sent last,
    /// if it did. With it: whether the service is to send another.
    pub(super) fn step(&mut self, token: Option<&[u8]>) -> Result<(Vec<u8>, bool), Failure> {
        match self.step_once(token) {
            // SPNEGO says only that it has no mechanism left; Kerberos says why. Should it have a token after all,
            // proxies take that, too.
            Err(_) if token.is_none() && self.mechanism == SPNEGO => {
                self.forget();
                self.mechanism = &KERBEROS;
                self.step_once(None)
            }
            step => step,
        }
    }

    fn step_once(&mut self, token: Option<&[u8]>) -> Result<(Vec<u8>, bool), Failure> {
        let mut input = borrowed(token.unwrap_or_default());
        let mut output = Buffer { length: 0, value: ptr::null_mut() };
        let mut mechanism = oid(self.mechanism);
        let mut minor = 0;
        // SAFETY: every pointer is null where that means "by default", or to a value that lives until the call
        // returns. `context` is null at first and what the library made of it later. The output is the library's,
        // and given back below.
        let major = unsafe {
            (self.functions.init_sec_context)(
                &raw mut minor,
                ptr::null_mut(),
                &raw mut self.context,
                self.name,
                &raw mut mechanism,
                0,
                0,
                ptr::null_mut(),
                &raw mut input,
                ptr::null_mut(),
                &raw mut output,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let made = self.functions.take(&mut output);
        if major & ERRORS != 0 {
            return Err(Failure::Said(self.functions.words(major, minor)));
        }
        Ok((made, major & CONTINUE_NEEDED != 0))
    }

    /// Begins anew.
    fn forget(&mut self) {
        let mut minor = 0;
        // SAFETY: it is null or was made by the library, which sets it to null.
        unsafe { (self.functions.delete_sec_context)(&raw mut minor, &raw mut self.context, ptr::null_mut()) };
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.forget();
        let mut minor = 0;
        // SAFETY: it was made by the library, and nobody uses it afterwards.
        unsafe { (self.functions.release_name)(&raw mut minor, &raw mut self.name) };
    }
}

impl Functions {
    /// Copies what the library has put into a buffer, and gives it back.
    fn take(&self, buffer: &mut Buffer) -> Vec<u8> {
        if buffer.value.is_null() {
            return Vec::new();
        }
        // SAFETY: the library says that so many bytes are there; they are copied before they are released.
        let copy = unsafe { std::slice::from_raw_parts(buffer.value.cast::<u8>(), buffer.length) }.to_vec();
        let mut minor = 0;
        // SAFETY: the buffer was filled by the library.
        unsafe { (self.release_buffer)(&raw mut minor, ptr::from_mut(buffer)) };
        copy
    }

    /// What a status means: the mechanism's words where it has any, which say more.
    fn words(&self, major: u32, minor: u32) -> String {
        let own = self.message(minor, BY_MECHANISM, &KERBEROS);
        let general = self.message(major, BY_GSS, &KERBEROS);
        match own.trim() {
            "" | "Success" | "Unknown error" => general,
            own => own.to_owned(),
        }
    }

    fn message(&self, status: u32, kind: i32, mechanism: &'static [u8]) -> String {
        let mut mechanism = oid(mechanism);
        let (mut minor, mut more) = (0, 0);
        let mut text = Buffer { length: 0, value: ptr::null_mut() };
        // SAFETY: every pointer is to a value that lives until the call returns.
        unsafe {
            (self.display_status)(&raw mut minor, status, kind, &raw mut mechanism, &raw mut more, &raw mut text)
        };
        String::from_utf8_lossy(&self.take(&mut text)).into_owned()
    }
}

/// A buffer the library only reads.
fn borrowed(bytes: &[u8]) -> Buffer {
    Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
}

fn oid(elements: &'static [u8]) -> Oid {
    // Each has ten bytes at most.
    Oid { length: u32::try_from(elements.len()).unwrap_or(0), elements: elements.as_ptr().cast_mut().cast() }
}
