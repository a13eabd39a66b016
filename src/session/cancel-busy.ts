/** Cancels what runs on these connections; `done` once every server has been told. */
interface Cancelable {
  readonly idle: boolean;
  cancel(done: () => void): void;
}

export function cancelBusy(connections: readonly (Cancelable | undefined)[], done: () => void): void {
  const busy = connections.filter((connection) => connection?.idle === false);
  let open = busy.length;
  if (open === 0) done();
  for (const connection of busy) {
    connection?.cancel(() => {
      open -= 1;
      if (open === 0) done();
    });
  }
}
