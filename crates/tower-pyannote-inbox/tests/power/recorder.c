/*
 * Records what a process does to the files below RECORDER_ROOT, and kills it before the call number RECORDER_CUT.
 *
 * Flushes of files whose name begins with RECORDER_DEAF are not recorded, and neither are flushes of the file system if it is
 * "syncfs", or of folders if it is "folders".
 *
 * The test loads this library into the process by LD_PRELOAD, and makes from the record what a disk may hold after a power cut. A
 * flush flushes nothing here: only its place in the record counts. A record is: kind, two numbers, an offset, and the lengths of two
 * byte strings, which follow.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, FLUSH, LINK, UNLINK, RENAME, MAKE_FOLDER, FLUSH_ALL };

enum { UNTRACKED, HEARD, DEAF };

struct __attribute__((packed)) record {
	uint8_t kind;
	uint64_t one, other, offset;
	uint32_t first, second;
};

#define MOST_FILES 65536
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned char is_tracked[MOST_FILES];
static const char *root, *deaf;
static int record_file = -1;
static long calls, cut;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("RECORDER_FILE"), *number = getenv("RECORDER_CUT");
	root = getenv("RECORDER_ROOT");
	deaf = getenv("RECORDER_DEAF");
	if (!root || !path || !number)
		return;
	cut = atol(number);
	record_file = REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (record_file < 0)
		abort();
}

static int is_below(const char *path)
{
	return record_file >= 0 && path && strncmp(path, root, strlen(root)) == 0;
}

static int tracks(int file)
{
	return record_file >= 0 && file >= 0 && file < MOST_FILES && is_tracked[file];
}

/* Begins a call that changes files. The power may fail before it. */
static void lock(void)
{
	pthread_mutex_lock(&turn);
	if (++calls >= cut)
		kill(getpid(), SIGKILL);
}

static void unlock(void)
{
	int error = errno;
	pthread_mutex_unlock(&turn);
	errno = error;
}

static void note(uint8_t kind, uint64_t one, uint64_t other, uint64_t offset, const void *first, size_t length,
		 const char *second)
{
	int error = errno;
	struct record record = { kind, one, other, offset, length, second ? strlen(second) : 0 };
	struct iovec parts[3] = {
		{ &record, sizeof record }, { (void *)first, length }, { (void *)second, record.second },
	};
	ssize_t all = sizeof record + length + record.second;
	if (writev(record_file, parts, 3) != all)
		abort();
	errno = error;
}

static uint64_t number_of(int file)
{
	struct stat status;
	return fstat(file, &status) ? 0 : status.st_ino;
}

static uint64_t number_at(const char *path)
{
	struct stat status;
	return lstat(path, &status) ? 0 : status.st_ino;
}

static uint64_t folder_of(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (length == 0 || length >= sizeof folder)
		return 0;
	memcpy(folder, path, length);
	folder[length] = 0;
	return number_at(folder);
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int is_deaf_to(const char *name, int file)
{
	struct stat status;
	if (!deaf || !*deaf)
		return 0;
	if (strcmp(deaf, "folders") == 0)
		return fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
	return strncmp(name, deaf, strlen(deaf)) == 0;
}

static int opened(const char *path, int flags, mode_t mode)
{
	if (!is_below(path))
		return REAL(open)(path, flags, mode);
	int is_new = 0, changes = flags & (O_CREAT | O_TRUNC);
	if (changes) {
		lock();
		is_new = number_at(path) == 0;
	}
	int file = REAL(open)(path, flags, mode);
	if (file >= 0 && file < MOST_FILES) {
		is_tracked[file] = is_deaf_to(name_of(path), file) ? DEAF : HEARD;
		if (changes && is_new)
			note(CREATE, folder_of(path), number_of(file), 0, name_of(path), strlen(name_of(path)), NULL);
		else if (flags & O_TRUNC)
			note(TRUNCATE, number_of(file), 0, 0, NULL, 0, NULL);
	}
	if (changes)
		unlock();
	return file;
}

#define OPEN(name)                                                  \
	int name(const char *path, int flags, ...)                  \
	{                                                           \
		va_list rest;                                       \
		va_start(rest, flags);                              \
		mode_t mode = flags & O_CREAT ? va_arg(rest, int) : 0; \
		va_end(rest);                                       \
		return opened(path, flags, mode);                   \
	}
OPEN(open)
OPEN(open64)

/* In a tracked folder, a file that must not exist. Other calls of openat are those of open. */
static int opened_at(int folder, const char *name, int flags, mode_t mode)
{
	if (!tracks(folder))
		return folder == AT_FDCWD ? opened(name, flags, mode) : REAL(openat)(folder, name, flags, mode);
	if (!(flags & O_EXCL))
		abort();
	lock();
	int file = REAL(openat)(folder, name, flags, mode);
	if (file >= 0 && file < MOST_FILES) {
		is_tracked[file] = is_deaf_to(name, file) ? DEAF : HEARD;
		note(CREATE, number_of(folder), number_of(file), 0, name, strlen(name), NULL);
	}
	unlock();
	return file;
}

#define OPEN_AT(name)                                                 \
	int name(int folder, const char *path, int flags, ...)        \
	{                                                             \
		va_list rest;                                         \
		va_start(rest, flags);                                \
		mode_t mode = flags & O_CREAT ? va_arg(rest, int) : 0; \
		va_end(rest);                                         \
		return opened_at(folder, path, flags, mode);          \
	}
OPEN_AT(openat)
OPEN_AT(openat64)

int close(int file)
{
	if (file >= 0 && file < MOST_FILES)
		is_tracked[file] = 0;
	return REAL(close)(file);
}

static ssize_t written(int file, const void *bytes, size_t length, off_t offset)
{
	lock();
	ssize_t done = REAL(pwrite)(file, bytes, length, offset);
	if (done > 0)
		note(WRITE, number_of(file), 0, offset, bytes, done, NULL);
	unlock();
	return done;
}

static off_t place_of(int file)
{
	return fcntl(file, F_GETFL) & O_APPEND ? lseek(file, 0, SEEK_END) : lseek(file, 0, SEEK_CUR);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset)
{
	return tracks(file) ? written(file, bytes, length, offset) : REAL(pwrite)(file, bytes, length, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset)
{
	return pwrite(file, bytes, length, offset);
}

ssize_t write(int file, const void *bytes, size_t length)
{
	if (!tracks(file))
		return REAL(write)(file, bytes, length);
	off_t place = place_of(file);
	ssize_t done = written(file, bytes, length, place);
	if (done > 0)
		lseek(file, place + done, SEEK_SET);
	return done;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
	if (!tracks(file))
		return REAL(writev)(file, parts, count);
	/* A short write, which callers have to expect. */
	return count > 0 ? write(file, parts[0].iov_base, parts[0].iov_len) : 0;
}

int ftruncate(int file, off_t length)
{
	if (!tracks(file))
		return REAL(ftruncate)(file, length);
	lock();
	int done = REAL(ftruncate)(file, length);
	if (done == 0)
		note(TRUNCATE, number_of(file), 0, length, NULL, 0, NULL);
	unlock();
	return done;
}

int ftruncate64(int file, off_t length)
{
	return ftruncate(file, length);
}

int fsync(int file)
{
	if (!tracks(file))
		return REAL(fsync)(file);
	lock();
	if (is_tracked[file] == HEARD)
		note(FLUSH, number_of(file), 0, 0, NULL, 0, NULL);
	unlock();
	return 0;
}

int fdatasync(int file)
{
	return fsync(file);
}

int syncfs(int file)
{
	if (!tracks(file))
		return REAL(syncfs)(file);
	lock();
	if (!deaf || strcmp(deaf, "syncfs") != 0)
		note(FLUSH_ALL, 0, 0, 0, NULL, 0, NULL);
	unlock();
	return 0;
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	if (!is_below(to))
		return REAL(linkat)(from_folder, from, to_folder, to, flags);
	lock();
	int done = REAL(linkat)(from_folder, from, to_folder, to, flags);
	if (done == 0)
		note(LINK, folder_of(to), number_at(to), 0, name_of(to), strlen(name_of(to)), NULL);
	unlock();
	return done;
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
	if (!is_below(path))
		return REAL(unlink)(path);
	lock();
	int done = REAL(unlink)(path);
	if (done == 0)
		note(UNLINK, folder_of(path), 0, 0, name_of(path), strlen(name_of(path)), NULL);
	unlock();
	return done;
}

int rename(const char *from, const char *to)
{
	if (!is_below(to))
		return REAL(rename)(from, to);
	lock();
	int done = REAL(rename)(from, to);
	if (done == 0)
		note(RENAME, folder_of(from), folder_of(to), 0, name_of(from), strlen(name_of(from)), name_of(to));
	unlock();
	return done;
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags)
{
	if (!tracks(to_folder))
		return REAL(renameat2)(from_folder, from, to_folder, to, flags);
	lock();
	int done = REAL(renameat2)(from_folder, from, to_folder, to, flags);
	if (done == 0)
		note(RENAME, number_of(from_folder), number_of(to_folder), 0, from, strlen(from), to);
	unlock();
	return done;
}

int unlinkat(int folder, const char *name, int flags)
{
	if (!tracks(folder))
		return REAL(unlinkat)(folder, name, flags);
	lock();
	int done = REAL(unlinkat)(folder, name, flags);
	if (done == 0)
		note(UNLINK, number_of(folder), 0, 0, name, strlen(name), NULL);
	unlock();
	return done;
}

int mkdir(const char *path, mode_t mode)
{
	if (!is_below(path))
		return REAL(mkdir)(path, mode);
	lock();
	int done = REAL(mkdir)(path, mode);
	if (done == 0)
		note(MAKE_FOLDER, folder_of(path), number_at(path), 0, name_of(path), strlen(name_of(path)), NULL);
	unlock();
	return done;
}
