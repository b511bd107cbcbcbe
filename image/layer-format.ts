/** How a layer lies in the store: a directory for overlayfs, or one file that is mounted as EROFS (docs/decisions/0019). */
export type LayerFormat = 'overlay' | 'erofs'
