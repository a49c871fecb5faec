# Writes a C file with the library's .graft files as strings:
#   cmake -DOUT=stdlib.c "-DFILES=a.graft;b.graft" -P embed.cmake
set(text "#include \"compiler/stdlib.h\"\nconst LibraryFile library[] = {\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" body "${hex}")
  string(REGEX REPLACE "((\\\\x..)(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?)" "\"\\1\"\n" body "${body}")
  string(APPEND text "{\"${name}\",\n${body}},\n")
endforeach()
string(APPEND text "{0, 0}};\n")
file(WRITE ${OUT} "${text}")
