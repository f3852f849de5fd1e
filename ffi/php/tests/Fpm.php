<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** A php-fpm of its own, which ends with this object. */
final class Fpm
{
    private const SOON_SECONDS = 20;

    public readonly string $socket;
    private readonly string $folder;
    /** @var resource */
    private $process;

    /**
     * @param array<string, string> $ini settings that only the command line or php.ini can make
     * @param int $requests after which a worker is replaced; 0 for never
     * @param ?array<string, string> $environment of the workers; null for that of this process
     */
    public function __construct(int $workers, array $ini, int $requests = 0, ?array $environment = null)
    {
        $this->folder = sys_get_temp_dir() . '/stockade-fpm-' . getmypid() . '-' . hrtime(true);
        mkdir($this->folder);
        $this->socket = "{$this->folder}/fpm.sock";
        file_put_contents("{$this->folder}/fpm.conf", <<<CONF
            [global]
            daemonize = no
            error_log = {$this->folder}/fpm.log
            [stock]
            listen = {$this->socket}
            listen.backlog = 1024
            pm = static
            pm.max_children = {$workers}
            pm.max_requests = {$requests}
            clear_env = no
            catch_workers_output = yes
            php_admin_flag[display_errors] = on
            CONF);
        $command = [self::binary(), '--fpm-config', "{$this->folder}/fpm.conf"];
        if (posix_geteuid() === 0) {
            // The pool is this user's, who can read what was built.
            array_push($command, '--allow-to-run-as-root');
            file_put_contents("{$this->folder}/fpm.conf", "\nuser = root\ngroup = root\n", FILE_APPEND);
            $ini['opcache.preload_user'] = 'root';
        }
        foreach ($ini as $name => $value) {
            array_push($command, '-d', "{$name}={$value}");
        }
        $log = ['file', "{$this->folder}/out.log", 'w'];
        $process = proc_open($command, [['file', '/dev/null', 'r'], $log, $log], $pipes, null, $environment);
        if ($process === false) {
            throw new RuntimeException('php-fpm cannot be started');
        }
        $this->process = $process;
        $this->waitUntilItListens();
    }

    public function __destruct()
    {
        proc_terminate($this->process);
        proc_close($this->process);
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }

    /** @return list<int> the workers that run now */
    public function workers(): array
    {
        $master = proc_get_status($this->process)['pid'];
        $children = (string) @file_get_contents("/proc/{$master}/task/{$master}/children");
        return array_map(intval(...), preg_split('/ /', $children, -1, PREG_SPLIT_NO_EMPTY) ?: []);
    }

    /** What went wrong, as far as it was written down. */
    public function log(): string
    {
        return implode('', array_map('file_get_contents', glob("{$this->folder}/*.log") ?: []));
    }

    private static function binary(): string
    {
        $named = (string) getenv('STOCKADE_PHP_FPM');
        if ($named !== '') {
            return $named;
        }
        $name = 'php-fpm' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        foreach (['/usr/sbin', '/usr/local/sbin', '/usr/bin'] as $folder) {
            if (is_executable("{$folder}/{$name}")) {
                return "{$folder}/{$name}";
            }
        }
        throw new RuntimeException("{$name} is not installed");
    }

    private function waitUntilItListens(): void
    {
        $end = hrtime(true) + self::SOON_SECONDS * 1_000_000_000;
        while (@stream_socket_client("unix://{$this->socket}") === false) {
            if (hrtime(true) > $end || !proc_get_status($this->process)['running']) {
                throw new RuntimeException('php-fpm does not listen: ' . $this->log());
            }
            usleep(10_000);
        }
    }
}
