# Writes a C file with files' texts as strings text_NAME:
#   cmake -DOUT=texts.c "-DFILES=a.c;b.h" -P embed.cmake
# With HEADER, TYPE and TABLE it writes a table of {name, text} that HEADER
# declares instead, ended by NULLs.
set(arrays "")
set(rows "")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," body "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" body "${body}")
  if(TABLE)
    string(APPEND arrays "static ")
  else()
    string(APPEND arrays "extern const char text_${name}[];\n")
  endif()
  string(APPEND arrays "const char text_${name}[] = {\n${body}0};\n")
  string(APPEND rows "    {\"${name}\", text_${name}},\n")
endforeach()
if(TABLE)
  string(PREPEND arrays "#include \"${HEADER}\"\n")
  string(APPEND arrays "const ${TYPE} ${TABLE}[] = {\n${rows}    {0, 0}};\n")
endif()
file(WRITE ${OUT} "${arrays}")
