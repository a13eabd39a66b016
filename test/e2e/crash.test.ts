// What may be killed at every fault point: the product's own processes. The servers' part is `crash-servers.test.ts`.
import { crashTests } from './support/crash-tests.ts';

crashTests(['control', 'worker']);
