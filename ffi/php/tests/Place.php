<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** An empty store of its own. */
final class Place
{
    private static int $count = 0;

    /** @param array<string, string> $settings */
    private function __construct(
        public readonly string $store,
        public readonly array $settings,
    ) {
    }

    public static function memory(): self
    {
        return new self('sqlite::memory:', []);
    }

    public static function file(): self
    {
        $folder = sys_get_temp_dir() . '/' . self::name();
        mkdir($folder);
        register_shutdown_function(static function () use ($folder): void {
            array_map('unlink', glob("{$folder}/*") ?: []);
            rmdir($folder);
        });
        return new self("sqlite:{$folder}/shop.db", []);
    }

    /** Wherever the running engine has it. */
    public static function running(Running $running): self
    {
        return new self($running->url, []);
    }

    /** On the servers that stockade-testkit started. */
    public static function servers(): self
    {
        $port = getenv('STOCKADE_TEST_MARIADB');
        $name = self::name();
        self::run("CREATE DATABASE {$name} CHARACTER SET utf8mb4");
        return new self("mysql://root@127.0.0.1:{$port}/{$name}", [
            'redis' => 'redis://127.0.0.1:' . getenv('STOCKADE_TEST_REDIS'),
            'redis_prefix' => "{$name}:",
        ]);
    }

    /** Runs SQL behind the engine's back, on a place of servers(). */
    public function sql(string $statement): void
    {
        $database = basename($this->store);
        self::run("USE {$database}; {$statement}");
    }

    private static function run(string $sql): void
    {
        $port = getenv('STOCKADE_TEST_MARIADB');
        $client = ['mariadb', '--no-defaults', '-h127.0.0.1', "-P{$port}", '-uroot', '-e', $sql];
        $process = proc_open($client, [], $pipes);
        if ($process === false || proc_close($process) !== 0) {
            throw new RuntimeException("failed: {$sql}");
        }
    }

    private static function name(): string
    {
        return 'p_' . getmypid() . '_' . hrtime(true) . '_' . self::$count++;
    }
}
