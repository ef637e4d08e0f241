import * as peersockets from '/pkg/dist/index.js'

Object.assign(window, peersockets)
