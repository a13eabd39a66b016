/** Who the gateway's users are at a source and on local, as their sessions log in there. */
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { GatewayLogin } from '../../cdc/user-rights.ts';
import type { Settings } from '../../config/settings.ts';

/** `*` stands for users that nobody has listed: who they are is not known before they come. */
export function gatewayLogins({ users, mysql }: Pick<Settings, 'users' | 'mysql'>, { engine, address }: { readonly engine: 'postgres' | 'mysql'; readonly address: ServerAddress }): readonly GatewayLogin[] {
  return users.filter(({ name }) => name !== '*').flatMap((user) => {
    const local = user.local?.user ?? user.name;
    if (engine === 'postgres') return [{ user: user.name, source: { ...address, user: user.source?.user ?? user.name }, local }];
    if (mysql === undefined || user.mysql === undefined) return [];
    const { user: login, password } = user.mysql;
    const { database, ssl } = address;
    // Its server may become another one.
    const source: ServerAddress = { get host() { return address.host; }, get port() { return address.port; }, database, user: login, ...(ssl === undefined ? {} : { ssl }), ...(password === undefined ? {} : { password }) };
    return [{ user: user.name, source, local }];
  });
}
