/** Where the database servers from Debian are unpacked: once per user, for every checkout. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

/** Server → the Debian release that has it, the packages, and what `--version` must print of it (a release may move on). */
export const debianServers = {
  'mariadb-10.11': { suite: 'bookworm', packages: ['mariadb-server-core', 'mariadb-client-core'], program: 'mariadbd', version: /\b10\.11\./ },
  'mariadb-11.8': { suite: 'trixie', packages: ['mariadb-server-core', 'mariadb-client-core'], program: 'mariadbd', version: /\b11\.8\./ },
  'mysql-9.7': { suite: 'sid', packages: ['mysql-server-core', 'mysql-client-core'], program: 'mysqld', version: /\b9\.7\./ },
} as const;
export type DebianServer = keyof typeof debianServers;

/** `tree` holds the unpacked packages with all their libraries, `data` a data directory as it is after the first start. */
export interface DebianServerFolder {
  readonly root: string;
  readonly tree: string;
  readonly data: string;
}

export function folderOf(server: DebianServer): DebianServerFolder {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  const root = path.join(cache, 'causeway', 'servers', server);
  return { root, tree: path.join(root, 'tree'), data: path.join(root, 'data') };
}

export function isUnpacked(server: DebianServer): boolean {
  return fs.existsSync(folderOf(server).data);
}

/** A program of the tree runs by the tree's own loader, since the C library of this machine may be older than its own. */
export function commandOf(tree: string, program: string): readonly string[] {
  // Releases before Debian 13 have the C library outside usr.
  const [system, ...others] = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((folder) => path.join(tree, folder)).filter((folder) => fs.existsSync(folder));
  if (system === undefined) throw new Error(`there are no libraries in ${tree}`);
  return [path.join(system, 'ld-linux-x86-64.so.2'), '--library-path', [system, ...others].join(':'), path.join(tree, program)];
}

/** MariaDB's messages, character sets and scripts. */
export function mariadbShare(tree: string): string {
  const newer = path.join(tree, 'usr/share/mariadb');
  return fs.existsSync(path.join(newer, 'charsets')) ? newer : path.join(tree, 'usr/share/mysql');
}
