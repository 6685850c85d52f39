import { defineConfig } from 'vitest/config';

// One worker for each processor: many tests wait for programs that they start. Vitest itself would leave one processor free.
export default defineConfig({ test: { include: ['test/**/*.test.ts'], testTimeout: 60_000, maxWorkers: '100%' } });
