import CDiffeo
import CShims
import Diffeo

@implementation @_cdecl("diffeo_version_number")
public func diffeo_version_number() -> Int32 { DIFFEO_VERSION_NUMBER }

@implementation @_cdecl("diffeo_version_string")
public func diffeo_version_string() -> UnsafePointer<CChar>? { staticText(diffeoVersion) }

@implementation @_cdecl("diffeo_status_name")
public func diffeo_status_name(_ status: diffeo_status) -> UnsafePointer<CChar>? {
  switch Int(status) {
  case DIFFEO_OK: staticText("DIFFEO_OK")
  case DIFFEO_EINVAL: staticText("DIFFEO_EINVAL")
  case DIFFEO_ENOMEM: staticText("DIFFEO_ENOMEM")
  case DIFFEO_ESHAPE: staticText("DIFFEO_ESHAPE")
  case DIFFEO_EDTYPE: staticText("DIFFEO_EDTYPE")
  case DIFFEO_EIO: staticText("DIFFEO_EIO")
  case DIFFEO_EFORMAT: staticText("DIFFEO_EFORMAT")
  case DIFFEO_EVERSION: staticText("DIFFEO_EVERSION")
  case DIFFEO_ENUMERIC: staticText("DIFFEO_ENUMERIC")
  case DIFFEO_ECANCELLED: staticText("DIFFEO_ECANCELLED")
  case DIFFEO_ESTATE: staticText("DIFFEO_ESTATE")
  case DIFFEO_EUNSUPPORTED: staticText("DIFFEO_EUNSUPPORTED")
  case DIFFEO_EINTERNAL: staticText("DIFFEO_EINTERNAL")
  default: staticText("unknown status")
  }
}

@implementation @_cdecl("diffeo_last_error")
public func diffeo_last_error() -> UnsafePointer<CChar>? { UnsafePointer(cshims_error_text()) }

/// Literals only: they live as long as the library.
private func staticText(_ text: StaticString) -> UnsafePointer<CChar>? {
  UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}
