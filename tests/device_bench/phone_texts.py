"""What a phone with three clusters answers: the formats of AOSP's tools, with invented values."""

GETPROP = """\
[dalvik.vm.isa.arm64.variant]: [cortex-a76]
[persist.sys.boot.reason.history]: [reboot,ota,1763000000
reboot,shell,1762000000]
[ro.board.platform]: [lahaina]
[ro.boot.serialno]: [SECRET0123]
[ro.build.fingerprint]: [maker/brandx/codename:14/UP1A.231005.007/1:user/release-keys]
[ro.build.id]: [UP1A.231005.007]
[ro.build.type]: [user]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.build.version.security_patch]: [2024-05-05]
[ro.hardware]: [qcom]
[ro.product.brand]: [brandx]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]
[ro.product.device]: [codename]
[ro.product.manufacturer]: [Maker]
[ro.product.model]: [Phone 9 Pro]
[ro.serialno]: [SECRET0123]
[ro.soc.manufacturer]: [QTI]
[ro.soc.model]: [SM8350]
"""

THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 5
\tkilled: false
\tbroadcasts count: -1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=99.1, mType=0, mName=AP, mStatus=0}
\tTemperature{mValue=98.0, mType=3, mName=SKIN, mStatus=3}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
\tTemperature{mValue=44.8, mType=0, mName=AP, mStatus=0}
\tTemperature{mValue=33.5, mType=3, mName=SKIN, mStatus=0}
\tTemperature{mValue=31.0, mType=2, mName=BATTERY, mStatus=0}
\tTemperature{mValue=0.0, mType=4, mName=ABSENT, mStatus=0}
\tTemperature{mValue=-99.9, mType=5, mName=ABSENT2, mStatus=0}
\tTemperature{mValue=55.0, mType=8, mName=soc, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=5, mName=tpu_cooling}
Temperature static thresholds from HAL:
\tTemperatureThreshold{type = SKIN, name = SKIN, hotThrottlingThresholds = [NaN, 37.0, 39.0], NaN}
"""

BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3270000
  status: 2
  health: 2
  present: true
  level: 80
  scale: 100
  voltage: 4352
  temperature: 312
  technology: Li-ion
[EventLogBuffer]
08-11 18:34:14.721  Sending ACTION_BATTERY_CHANGED: level:72, health:2, voltage:4120, temperature:999
"""

POWER = """\
POWER MANAGER (dumpsys power)
Power Manager State:
  mDirty=0x0
  mWakefulness=Awake
  mWakefulnessChanging=false
"""

_CORES = ("0xd05", "0xd05", "0xd05", "0xd05", "0xd41", "0xd41", "0xd41", "0xd44")

CPUINFO = "".join(
    f"processor\t: {number}\nBogoMIPS\t: 38.40\nFeatures\t: fp asimd evtstrm aes crc32 asimdhp cpuid asimddp\n"
    f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part}\nCPU revision\t: 0\n\n"
    for number, part in enumerate(_CORES)
)

MEMINFO = """\
MemTotal:        7638836 kB
MemFree:          218648 kB
MemAvailable:    3518580 kB
Buffers:            5484 kB
"""

_CLUSTERS = ((range(4), 325, 1804800), (range(4, 7), 871, 2419200), (range(7, 8), 1024, 2841600))

CPU_FILES = {"online": "0-7", "present": "0-7"} | {
    f"cpu{number}/{file}": str(value)
    for cpus, capacity, khz in _CLUSTERS
    for number in cpus
    for file, value in {
        "cpu_capacity": capacity,
        "cpufreq/cpuinfo_max_freq": khz,
        "cpufreq/scaling_max_freq": khz,
        "cpufreq/scaling_min_freq": 300000,
        "cpufreq/scaling_cur_freq": 1113600,
        "cpufreq/scaling_governor": "schedutil",
    }.items()
}
"""Below /sys/devices/system/cpu."""
