{
  # The target is beside the sources, since the package is published without
  # this file: npm and pnpm take it for something to be built at install.
  "includes": [ "native/addon.gypi" ]
}
