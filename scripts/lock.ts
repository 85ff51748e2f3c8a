/**
 * `npm run lock`: adds to package-lock.json the packages of other platforms that npm left out; `--check` only names them.
 *
 * npm writes no entry for an optional package that it could not see when it wrote the lock, and later `npm ci` refuses
 * such a lock on every machine. The parent package pins the version, and the name tells the platform, so the entry can
 * be made without the package; what it lacks is the checksum, which npm adds when it first sees the package.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  packages: Record<string, Entry>;
}

const SYSTEMS = ["aix", "android", "darwin", "freebsd", "linux", "openharmony", "sunos", "win32"];
/** Names of processors, as packages write them, and what Node calls them. */
const PROCESSORS: Readonly<Record<string, string>> = {
  aarch64: "arm64",
  arm: "arm",
  arm64: "arm64",
  armv7: "arm",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64",
};
const LIBRARIES: Readonly<Record<string, string>> = {
  gnu: "glibc",
  gnueabihf: "glibc",
  musl: "musl",
  musleabihf: "musl",
};

const path = join(dirname(import.meta.dirname), "package-lock.json");
const lock: Lock = JSON.parse(readFileSync(path, "utf8"));
const missing = missingEntries(lock);

if (!process.argv.includes("--check")) {
  const packages = { ...lock.packages, ...Object.fromEntries(missing) };
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en"));
  writeFileSync(
    path,
    `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
  );
} else if (missing.length > 0) {
  const names = missing.map(([name]) => name);
  console.error(`package-lock.json has no entry for ${names.join(", ")}. Run npm run lock.`);
  process.exitCode = 1;
}

/** Entries for optional dependencies that have none. */
function missingEntries({ packages }: Lock): readonly (readonly [string, object])[] {
  return Object.entries(packages).flatMap(([parentPath, parent]) =>
    Object.entries(parent.optionalDependencies ?? {})
      .filter(([name]) => !isLocked(packages, parentPath, name))
      .map(([name, version]) => [`node_modules/${name}`, entryOf(name, version, parent)] as const),
  );
}

/** Whether a package finds another in its own node_modules or in those above it. */
function isLocked(packages: Lock["packages"], from: string, name: string): boolean {
  const place = from === "" ? "node_modules" : `${from}/node_modules`;
  if (Object.hasOwn(packages, `${place}/${name}`)) return true;
  if (from === "") return false;
  const above = from.lastIndexOf("/node_modules/");
  return isLocked(packages, above === -1 ? "" : from.slice(0, above), name);
}

function entryOf(name: string, version: string, parent: Entry): object {
  const words = name.split(/[/-]/);
  const os = words.find((word) => SYSTEMS.includes(word));
  const cpu = words.map((word) => PROCESSORS[word]).find((word) => word !== undefined);
  if (os === undefined || cpu === undefined || !/^\d+\.\d+\.\d+/.test(version)) {
    throw new Error(
      `Expected a name with a platform and one version; received ${name}@${version}. Add it to the lock by hand.`,
    );
  }
  const libc = words.map((word) => LIBRARIES[word]).find((word) => word !== undefined);
  return {
    version,
    cpu: [cpu],
    ...(parent.dev === true && { dev: true }),
    ...(libc !== undefined && { libc: [libc] }),
    optional: true,
    os: [os],
  };
}
