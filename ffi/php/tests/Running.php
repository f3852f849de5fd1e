<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** A `stockade serve` on a socket file of its own, which ends with this object. */
final class Running
{
    private const SOON_SECONDS = 30;

    /** What an engine opens. */
    public readonly string $url;
    private readonly string $folder;
    /** @var resource */
    private $process;

    /**
     * @param string $program the `stockade` that is built
     * @param array<string, string> $settings by name, as of an engine
     */
    public function __construct(string $program, string $store, array $settings = [])
    {
        $this->folder = sys_get_temp_dir() . '/stockade-running-' . getmypid() . '-' . hrtime(true);
        mkdir($this->folder);
        $socket = "{$this->folder}/stockade.sock";
        $this->url = "unix://{$socket}";
        $command = [$program, 'serve', '--listen=', "--unix={$socket}", '--no-seed', '--log-level=warn'];
        foreach (['store' => $store] + $settings as $name => $value) {
            $command[] = '--' . strtr($name, '_', '-') . "={$value}";
        }
        $log = ['file', "{$this->folder}/out.log", 'w'];
        $process = proc_open($command, [['file', '/dev/null', 'r'], $log, $log], $pipes, $this->folder, []);
        if ($process === false) {
            throw new RuntimeException("{$program} cannot be started");
        }
        $this->process = $process;
        $this->waitUntilItListens($socket);
    }

    public function __destruct()
    {
        proc_terminate($this->process, SIGKILL);
        proc_close($this->process);
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }

    private function waitUntilItListens(string $socket): void
    {
        $end = hrtime(true) + self::SOON_SECONDS * 1_000_000_000;
        while (@stream_socket_client("unix://{$socket}") === false) {
            if (hrtime(true) > $end || !proc_get_status($this->process)['running']) {
                $log = (string) file_get_contents("{$this->folder}/out.log");
                throw new RuntimeException("stockade serve does not listen: {$log}");
            }
            usleep(10_000);
        }
    }
}
