<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** A `stockade serve` on a socket file and a TCP port of its own, which ends with this object. */
final class Running
{
    private const SOON_SECONDS = 30;
    private const KEY = 'a key @ of/tests';

    /** What an engine opens. */
    public readonly string $url;
    /** The same by TCP. */
    public string $tcp;
    private readonly string $folder;
    /** @var resource */
    private $process;

    /** @var list<string> */
    private readonly array $command;
    private bool $isOwner = true;

    /**
     * @param string $program the `stockade` that is built
     * @param array<string, string|int|bool> $settings by name, as of an engine
     */
    public function __construct(string $program, string $store, array $settings = [])
    {
        $this->folder = sys_get_temp_dir() . '/stockade-running-' . getmypid() . '-' . hrtime(true);
        mkdir($this->folder);
        $this->url = "unix://{$this->folder}/stockade.sock";
        $command = [$program, 'serve', "--unix={$this->folder}/stockade.sock", '--no-seed', '--log-level=warn'];
        foreach (['store' => $store] + $settings as $name => $value) {
            $text = is_bool($value) ? var_export($value, true) : (string) $value;
            $command[] = '--' . strtr($name, '_', '-') . "={$text}";
        }
        $this->command = $command;
        $this->start([...$command, '--listen=127.0.0.1:0']);
        $this->waitUntilItListens();
    }

    /**
     * Starts a killed server again, at the same addresses, after so many microseconds,
     * and does not wait for it.
     */
    public function restartAfter(int $micros): self
    {
        file_put_contents("{$this->folder}/out.log", '');
        $again = clone $this;
        $this->isOwner = false;
        $listen = '--listen=' . substr((string) strrchr($this->tcp, '@'), 1);
        $seconds = sprintf('%.6F', $micros / 1e6);
        $shell = "sleep {$seconds}; exec \"\$@\"";
        $again->start(['sh', '-c', $shell, 'sh', ...$this->command, $listen]);
        return $again;
    }

    /** @param list<string> $command */
    private function start(array $command): void
    {
        $log = ['file', "{$this->folder}/out.log", 'a'];
        $environment = ['STOCKADE_API_KEY' => self::KEY, 'PATH' => (string) getenv('PATH')];
        $process = proc_open($command, [['file', '/dev/null', 'r'], $log, $log], $pipes, $this->folder, $environment);
        if ($process === false) {
            throw new RuntimeException("{$command[0]} cannot be started");
        }
        $this->process = $process;
    }

    /** Ends the server at once, as a crash does. */
    public function kill(): void
    {
        proc_terminate($this->process, SIGKILL);
        proc_close($this->process);
    }

    public function __destruct()
    {
        if (is_resource($this->process)) {
            $this->kill();
        }
        if (!$this->isOwner) {
            return;
        }
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }

    private function waitUntilItListens(): void
    {
        $end = hrtime(true) + self::SOON_SECONDS * 1_000_000_000;
        do {
            $log = (string) file_get_contents("{$this->folder}/out.log");
            if (hrtime(true) > $end || !proc_get_status($this->process)['running']) {
                throw new RuntimeException("stockade serve does not listen: {$log}");
            }
            usleep(2_000);
            // The socket file is the last that it tells of.
        } while (!str_contains($log, "listening on {$this->url}"));
        preg_match('#listening on http://(127\.0\.0\.1:\d+)#', $log, $found);
        $this->tcp = 'http://:' . rawurlencode(self::KEY) . "@{$found[1]}";
    }
}
