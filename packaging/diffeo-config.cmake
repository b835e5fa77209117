# find_package(diffeo) gives the target diffeo::diffeo.
get_filename_component(diffeo_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET diffeo::diffeo)
  add_library(diffeo::diffeo SHARED IMPORTED)
  set_target_properties(diffeo::diffeo PROPERTIES
    IMPORTED_LOCATION "${diffeo_prefix}/lib/libdiffeo.so.0"
    IMPORTED_SONAME "libdiffeo.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "${diffeo_prefix}/include")
endif()
unset(diffeo_prefix)
