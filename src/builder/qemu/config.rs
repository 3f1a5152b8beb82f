//! The options of the `qemu` builder.

use std::path::Path;

use crate::builder::options::boot::{BootOptions, ShutdownOptions, check_range};
use crate::builder::options::communicator::{self, CommunicatorOptions};
use crate::builder::options::http::{self, HttpOptions};
use crate::builder::options::iso::{self, IsoOptions};
use crate::builder::options::media::{CdOptions, FloppyOptions, check_files};
use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// Arguments added to calls of `qemu-img`.
    pub struct QemuImgArgs {
        /// To those of `qemu-img convert`.
        convert: Vec<String>,
        /// To those of `qemu-img create`.
        create: Vec<String>,
        /// To those of `qemu-img resize`.
        resize: Vec<String>,
    }
}

crate::config! {
    /// The hardware of the machine.
    pub struct HardwareOptions {
        /// What runs the machine. Default: `kvm` where it can be used, else `tcg`.
        #[values("none", "kvm", "tcg", "hax", "hvf", "whpx", "xen", "nvmm")]
        accelerator: Option<String>,
        /// Machine type, as `qemu -machine help` lists them.
        machine_type: String = "pc".to_owned(),
        /// Model of the processors, as `qemu -cpu help` lists them, with flags.
        cpu_model: Option<String>,
        /// Number of processors.
        cpus: u32 = 1,
        /// Number of processor sockets.
        sockets: Option<u32>,
        /// Number of cores of a socket.
        cores: Option<u32>,
        /// Number of threads of a core.
        threads: Option<u32>,
        /// Memory in megabytes.
        memory: u32 = 512,
        /// Firmware: a file that takes the place of the BIOS.
        firmware: Option<String>,
        /// Give the firmware to the machine as a flash device.
        use_pflash: bool,
        /// Start by UEFI.
        efi_boot: bool,
        /// The code of the UEFI firmware.
        efi_firmware_code: String = "/usr/share/OVMF/OVMF_CODE.fd".to_owned(),
        /// The variables that the UEFI firmware begins with.
        efi_firmware_vars: String = "/usr/share/OVMF/OVMF_VARS.fd".to_owned(),
        /// Do not keep the UEFI variables beside the image.
        efi_drop_efivars: bool,
        /// Give the machine an emulated TPM; needs `swtpm`.
        vtpm: bool,
        /// Make the emulated TPM one of version 1.2.
        use_tpm1: bool,
        /// Device that the TPM is.
        tpm_device_type: String = "tpm-tis".to_owned(),
    }
}

crate::config! {
    /// The disks of the machine.
    pub struct DiskOptions {
        /// The image begun with is a disk, not a CD to install from.
        disk_image: bool,
        /// Size of the disk, such as `40960M` or `40G`; without a unit in megabytes.
        disk_size: String = "40960M".to_owned(),
        /// Sizes of more disks.
        disk_additional_size: Vec<String>,
        /// Format of the disk.
        #[values("qcow2", "raw")]
        format: String = "qcow2".to_owned(),
        /// Write only what differs from the image begun with, which is then needed beside the result. Takes
        /// `disk_image` and the format `qcow2`.
        use_backing_file: bool,
        /// Leave the disk begun with at its size.
        skip_resize_disk: bool,
        /// Do not make the disk smaller when the build is done.
        skip_compaction: bool,
        /// Compress the disk when the build is done; for `qcow2`.
        disk_compression: bool,
        /// What the disk is connected by, such as `virtio`, `virtio-scsi`, `scsi` or `ide`.
        disk_interface: String = "virtio".to_owned(),
        /// What the CD drive is connected by, such as `virtio`, `virtio-scsi`, `ide` or `scsi`.
        cdrom_interface: Option<String>,
        /// How the host caches the disk.
        #[values("writethrough", "writeback", "none", "unsafe", "directsync")]
        disk_cache: String = "writeback".to_owned(),
        /// What becomes of discarded blocks.
        #[values("unmap", "ignore")]
        disk_discard: String = "ignore".to_owned(),
        /// Whether zeros written are turned into discarded blocks.
        #[values("unmap", "on", "off")]
        disk_detect_zeroes: String = "off".to_owned(),
        qemu_img_args: Option<QemuImgArgs> as block,
    }
}

crate::config! {
    /// The network and the screen of the machine.
    pub struct PeripheralOptions {
        /// Model of the network card, such as `virtio-net`, `e1000` or `rtl8139`.
        net_device: String = "virtio-net".to_owned(),
        /// Bridge of the host the machine is connected to. Default: QEMU's user networking.
        net_bridge: Option<String>,
        /// Do not forward a port of the host to the machine's SSH or WinRM.
        skip_nat_mapping: bool,
        /// Lowest port of the host forwarded to the machine.
        host_port_min: u16 = 2222,
        /// Highest port of the host forwarded to the machine.
        host_port_max: u16 = 4444,
        /// Show no window.
        headless: bool,
        /// What shows the machine's screen, such as `gtk`, `sdl`, `cocoa` or `none`. Default: `gtk`.
        display: Option<String>,
        /// Leave the screen to what QEMU does by itself.
        use_default_display: bool,
        /// Graphics card, as `qemu -vga help` lists them.
        vga: Option<String>,
        /// Type nothing into the machine, and open no VNC server for it.
        disable_vnc: bool,
        /// Address of the VNC server that keys are typed through.
        vnc_bind_address: String = "127.0.0.1".to_owned(),
        /// Protect the VNC server with a password made for the build.
        vnc_use_password: bool,
        /// Password of the VNC server; it is then protected.
        #[sensitive]
        vnc_password: Option<String>,
        /// Lowest port of the VNC server.
        vnc_port_min: u16 = 5900,
        /// Highest port of the VNC server.
        vnc_port_max: u16 = 6000,
        /// Open a QMP socket.
        qmp_enable: bool,
        /// Path of the QMP socket. Default: `NAME.monitor` in the output directory.
        qmp_socket_path: Option<String>,
        /// Arguments for QEMU, each a list of a switch and its value: those of one switch take the place of all that
        /// are given for it otherwise. `{{ .HTTPIP }}`, `{{ .HTTPPort }}`, `{{ .HTTPDir }}`, `{{ .OutputDir }}`,
        /// `{{ .Name }}` and `{{ .SSHHostPort }}` are known in them.
        qemuargs: Vec<Vec<String>> as raw,
        /// The QEMU program.
        qemu_binary: String = "qemu-system-x86_64".to_owned(),
    }
}

crate::config! {
    /// Builds a virtual machine with QEMU: from an image to install from, or a disk; as a disk.
    pub struct QemuConfig {
        iso: IsoOptions as flatten,
        /// Use the image in place of a copy in the cache, where it is a file of the host.
        iso_skip_cache: bool,
        /// Directory the disk is written to. Default: `output-BUILDNAME`.
        output_directory: Option<String>,
        /// Name of the disk's file. Default: `packer-BUILDNAME`.
        vm_name: Option<String>,
        hardware: HardwareOptions as flatten,
        disk: DiskOptions as flatten,
        peripherals: PeripheralOptions as flatten,
        boot: BootOptions as flatten,
        /// What is typed, in steps, each a list of keys and of what is said of them. For `-debug`.
        #[conflicts("boot_command")]
        boot_steps: Vec<Vec<String>> as raw,
        http: HttpOptions as flatten,
        floppy: FloppyOptions as flatten,
        cd: CdOptions as flatten,
        shutdown: ShutdownOptions as flatten,
        /// How the machine is reached.
        #[values("ssh", "winrm", "none")]
        communicator: String = "ssh".to_owned(),
        connection: CommunicatorOptions as flatten,
        /// Lowest port of the host forwarded to the machine.
        #[replaced("host_port_min")]
        ssh_host_port_min: Option<u16>,
        /// Highest port of the host forwarded to the machine.
        #[replaced("host_port_max")]
        ssh_host_port_max: Option<u16>,
    }
}

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<QemuConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    iso::check(decoded, &config.iso, &mut diagnostics);
    communicator::check(decoded, &config.communicator, &config.connection, &mut diagnostics);
    http::check(decoded, &config.http, &mut diagnostics);
    let (disk, peripherals) = (&config.disk, &config.peripherals);
    let ports = (peripherals.vnc_port_min, peripherals.vnc_port_max);
    check_range(decoded, ("vnc_port_min", "vnc_port_max"), ports, &mut diagnostics);
    let ports = (peripherals.host_port_min, peripherals.host_port_max);
    check_range(decoded, ("host_port_min", "host_port_max"), ports, &mut diagnostics);
    if peripherals.vnc_port_min < 5900 {
        let found = decoded.error("vnc_port_min", "`vnc_port_min` is below 5900");
        diagnostics.push(found.detail("VNC counts its displays from there"));
    }
    check_files(decoded, "floppy_files", &config.floppy.floppy_files, &mut diagnostics);
    check_files(decoded, "floppy_dirs", &config.floppy.floppy_dirs, &mut diagnostics);
    check_files(decoded, "cd_files", &config.cd.cd_files, &mut diagnostics);
    let known = |names: &[&str]| names.iter().all(|name| !decoded.is_unknown(name));
    if disk.use_backing_file && known(&["disk_image", "format"]) && !(disk.disk_image && disk.format == "qcow2") {
        let found = decoded.error("use_backing_file", "there is no disk to write the difference from");
        diagnostics.push(found.hint("`use_backing_file` takes disk_image = true and format = \"qcow2\""));
    }
    if disk.disk_compression && disk.format != "qcow2" && known(&["format"]) {
        let found =
            decoded.error("disk_compression", format!("a disk of the format {} is not compressed", disk.format));
        diagnostics.push(found.hint("set format = \"qcow2\""));
    }
    if config.hardware.use_pflash && config.hardware.firmware.is_none() && known(&["firmware"]) {
        let found = decoded.error("use_pflash", "there is no firmware for the flash device");
        diagnostics.push(found.hint("name it: firmware = \"…\""));
    }
    let output = config.output_directory.as_deref().filter(|output| !output.is_empty());
    if let Some(output) = output.filter(|output| Path::new(output).is_file()) {
        diagnostics.push(decoded.error("output_directory", format!("{output} is a file")));
    }
    diagnostics
}
