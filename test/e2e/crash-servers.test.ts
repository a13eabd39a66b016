// What may be killed at every fault point: the servers of both sides. The product's own processes are in `crash.test.ts`.
import { crashTests } from './support/crash-tests.ts';

crashTests(['source', 'local']);
