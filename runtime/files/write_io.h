/* File operations of the writers: each counted, so that tests can make the
 * n-th fail; errno says why. Removing is never made to fail. */
#pragma once
#include "runtime/files/files.h"

int io_make_dir(const char *path);     /* 0, or -1 */
int io_create(const char *path);       /* a new file; its fd, or -1 */
int io_open_write(const char *path);   /* an existing one, as it is */
bool io_write(int fd, const void *data, size_t len); /* all of it */
bool io_write_at(int fd, const void *data, size_t len, int64_t at);
bool io_sync(int fd);
bool io_close(int fd);
/* All of it and the close; errno is of what failed first. */
bool io_write_close(int fd, const void *data, size_t len, bool sync);
bool io_sync_dir(const char *path);
bool io_rename(const char *from, const char *to);     /* over what is there */
bool io_rename_new(const char *from, const char *to); /* fails if `to` is */
/* A write past the limit of file sizes is to fail, not to kill. */
void io_no_size_signal(void);
/* Removes a folder of files, or a file; best effort. */
void io_remove(const char *path);
/* "DIR/.NAME.graft-PID" beside `path`; in the arena. */
const char *io_beside(Arena *a, const char *path);
/* The folder that `path` lies in. */
const char *io_parent(Arena *a, const char *path);
