/** Names of the Container Device Interface, SPEC.md: `vendor.com/class` and `vendor.com/class=device`. */
const label = '[A-Za-z](?:[A-Za-z0-9._-]*[A-Za-z0-9])?'
const device = '[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?'

export const CDI_KIND: RegExp = new RegExp(`^${label}/${label}$`)
export const CDI_DEVICE: RegExp = new RegExp(`^${device}$`)
export const CDI_QUALIFIED_NAME: RegExp = new RegExp(`^${label}/${label}=${device}$`)
