import { builtinModules } from 'node:module';
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const typescript = ['lib/**/*.ts', 'test/**/*.ts'];

// Features of the language that this project does not use.
const restrictedSyntax = [
  {
    selector: 'TSEnumDeclaration',
    message: 'Write a union of strings.',
  },
  {
    selector: 'TSExportAssignment',
    message: 'Use named exports.',
  },
  {
    selector:
      'ImportDeclaration[source.value!=/^node:|fixtures/] ImportNamespaceSpecifier',
    message: 'Import names. Only node: modules and fixtures are namespaces.',
  },
];

const noSubclasses = {
  selector:
    ':matches(ClassDeclaration, ClassExpression)' +
    '[superClass]:not([superClass.name=/Error$/])',
  message: 'Only classes of errors inherit.',
};

const unused = ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }];

const everywhere = {
  eqeqeq: 'error',
  'no-empty': ['error', { allowEmptyCatch: false }],
  'no-restricted-exports': [
    'error',
    { restrictDefaultExports: { direct: true, named: true } },
  ],
  'no-restricted-imports': [
    'error',
    {
      paths: builtinModules
        .filter((name) => !name.startsWith('node:'))
        .map((name) => ({ name, message: `Import node:${name}.` })),
    },
  ],
  'no-restricted-syntax': ['error', ...restrictedSyntax],
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
};

const sizes = {
  'max-lines-per-function': [
    'error',
    { max: 60, skipBlankLines: true, skipComments: true },
  ],
  'max-params': ['error', { max: 4 }],
};

export default defineConfig(
  globalIgnores([
    'build/',
    'coverage/',
    'dist/',
    'dist-test/',
    'prebuilds/',
    'site/',
  ]),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  { rules: everywhere },

  {
    files: typescript,
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './tsconfig.test.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': unused,
      // A job may throw any value, and the library passes it on.
      '@typescript-eslint/only-throw-error': [
        'error',
        { allowThrowingAny: false, allowThrowingUnknown: true },
      ],
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: false, allowThrowingUnknown: true },
      ],
      // `async` without `await` turns a thrown error into a rejection.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowBoolean: true, allowNumber: true },
      ],
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },

  {
    files: ['lib/**/*.ts'],
    rules: {
      ...sizes,
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // The addon is loaded by require(), and so are builtins that most processes
      // do not need.
      '@typescript-eslint/no-require-imports': 'off',
      // The library looks up the functions of its users by identity, and does not
      // use their types.
      '@typescript-eslint/no-unsafe-function-type': 'off',
      // Zero is a valid descriptor, so numbers have to be compared explicitly.
      '@typescript-eslint/strict-boolean-expressions': [
        'error',
        {
          allowNullableBoolean: true,
          allowNullableString: true,
          allowNumber: false,
        },
      ],
      // A library prints nothing.
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...restrictedSyntax, noSubclasses],
    },
  },

  {
    files: ['test/**/*.ts'],
    rules: {
      // Tests make calls that the types forbid, and parse the output of other
      // processes.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-require-imports': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },

  {
    files: ['**/*.mjs'],
    languageOptions: { globals: globals.nodeBuiltin },
    rules: { ...sizes, 'no-unused-vars': unused },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: globals.node },
    rules: { 'no-unused-vars': unused },
  },
  {
    // Jobs and programs that fail on purpose.
    files: ['test/fixtures/**'],
    rules: {
      'no-restricted-exports': 'off',
      'no-restricted-syntax': 'off',
      'no-unused-vars': 'off',
    },
  },
  {
    // Test files of vitest, whose globals depend on their environment.
    files: ['test/fixtures/vitest/**'],
    rules: { 'no-undef': 'off' },
  },
  {
    // The tools that read these files expect a default export.
    files: ['*.config.mjs'],
    rules: { 'no-restricted-exports': 'off', 'no-restricted-syntax': 'off' },
  },
);
