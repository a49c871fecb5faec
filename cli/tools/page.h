/* The style and the script of `show --html`, part of the binary (made from
 * page_style.css and page_script.js by scripts/embed.cmake). */
#pragma once

typedef struct {
    const char *name, *text;
} PageFile;
extern const PageFile page_file[]; /* ends with a NULL name */
