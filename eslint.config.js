import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * The rooms of src/ and what each may import (docs/architecture.md). Everything not listed is refused.
 */
const rooms = {
  contract: [],
  money: ['contract'],
  workflows: ['contract', 'money', 'activities'],
  activities: ['mountsea', 'money', 'preflight', 'staging', 'contract'],
  mountsea: ['contract'],
  preflight: ['contract'],
  staging: ['contract'],
  temporal: ['contract'],
  sandbox: ['contract'],
  library: ['contract', 'money', 'temporal', 'preflight', 'staging'],
  // The worker only by dynamic import: no other command may load its native module.
  cli: ['contract', 'library', 'money', 'temporal', 'preflight', 'staging', 'worker.ts'],
};

const zones = Object.entries(rooms).map(([room, allowed]) => ({
  target: `./src/${room}`,
  from: './src',
  except: [room, ...allowed].map((name) => `./${name}`),
  message:
    allowed.length === 0
      ? `src/${room} imports nothing of ours.`
      : `src/${room} may import only from: ${allowed.join(', ')}. See docs/architecture.md.`,
}));

/** Restrictions that also hold for `import type`-free value imports; see the workflow block. */
const nodeBuiltins = {
  group: ['node:*'],
  message: 'This room runs in the workflow sandbox: no Node, no I/O.',
};

export default tseslint.config(
  { ignores: ['dist', 'docs/api', 'node_modules'] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: {
          allowDefaultProject: [
            'eslint.config.js',
            'scripts/*.mjs',
            'deploy/*.mjs',
            'examples/*/*.mjs',
            'test/*/*.mjs',
          ],
        },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver()] },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-extraneous-dependencies': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-deprecated': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/contract/**', 'src/money/**', 'src/workflows/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            nodeBuiltins,
            {
              group: ['**/activities/*'],
              allowTypeImports: true,
              message: 'Workflows see activities by type only: use proxyActivities.',
            },
            {
              group: ['zod', 'undici', '@temporalio/client', '@temporalio/worker', '@temporalio/activity'],
              message: 'Not in the workflow sandbox: validate and do I/O at the edges.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['eslint.config.js', 'scripts/*.mjs', 'deploy/*.mjs', 'examples/*/*.mjs', 'test/*/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
);
