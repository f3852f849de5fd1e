<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use CurlHandle;
use RuntimeException;
use Stockade\Tests\Fpm;

/** An application under php-fpm and nginx, on a socket file; it ends with this object. */
final class Site
{
    private const SOON_SECONDS = 20;

    private readonly Fpm $fpm;
    private readonly string $folder;
    /** @var resource */
    private $process;

    public function __construct(private readonly App $app, int $workers)
    {
        $this->fpm = new Fpm($workers, [
            'opcache.enable' => '1',
            'opcache.memory_consumption' => '192',
            'opcache.max_accelerated_files' => '20000',
            'opcache.validate_timestamps' => '0',
            'opcache.file_update_protection' => '0',
            'realpath_cache_size' => '4M',
            // The application's .env counts, not what tests before this one have set.
        ], environment: ['PATH' => (string) getenv('PATH')]);
        $this->folder = sys_get_temp_dir() . '/stockade-nginx-' . getmypid() . '-' . hrtime(true);
        mkdir($this->folder);
        $user = posix_geteuid() === 0 ? 'user root root;' : '';
        $pools = '';
        foreach (['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi'] as $pool) {
            $pools .= "{$pool}_temp_path {$this->folder}/{$pool};\n";
        }
        file_put_contents("{$this->folder}/nginx.conf", <<<CONF
            {$user}
            daemon off;
            worker_processes 1;
            pid {$this->folder}/pid;
            error_log {$this->folder}/error.log warn;
            events { worker_connections 1024; }
            http {
                {$pools}
                access_log off;
                keepalive_requests 1000000;
                server {
                    listen unix:{$this->folder}/http.sock;
                    location / {
                        include {$this->parameters()};
                        fastcgi_param SCRIPT_FILENAME {$app->folder}/public/index.php;
                        fastcgi_param SCRIPT_NAME /index.php;
                        fastcgi_pass unix:{$this->fpm->socket};
                    }
                }
            }
            CONF);
        $log = ['file', "{$this->folder}/out.log", 'w'];
        $command = ['nginx', '-p', $this->folder, '-e', "{$this->folder}/error.log"];
        array_push($command, '-c', "{$this->folder}/nginx.conf");
        $process = proc_open($command, [['file', '/dev/null', 'r'], $log, $log], $pipes);
        if ($process === false) {
            throw new RuntimeException('nginx cannot be started');
        }
        $this->process = $process;
        $end = hrtime(true) + self::SOON_SECONDS * 1_000_000_000;
        while (@stream_socket_client("unix://{$this->folder}/http.sock") === false) {
            if (hrtime(true) > $end || !proc_get_status($process)['running']) {
                throw new RuntimeException('nginx does not listen: ' . $this->log());
            }
            usleep(10_000);
        }
    }

    /**
     * Makes one request.
     *
     * @param array<string, mixed>|null $json the body
     * @return array{int, array<string, mixed>} status and body
     */
    public function ask(string $method, string $path, ?array $json = null): array
    {
        return $this->askAll([[$method, $path, $json]])[0];
    }

    /**
     * Makes all requests at once.
     *
     * @param list<array{0: string, 1: string, 2?: ?array<string, mixed>}> $requests
     * @return list<array{int, array<string, mixed>}> in the same order
     */
    public function askAll(array $requests): array
    {
        $multi = curl_multi_init();
        $calls = [];
        foreach ($requests as $request) {
            $calls[] = $call = $this->call(...$request);
            curl_multi_add_handle($multi, $call);
        }
        do {
            curl_multi_exec($multi, $running);
            curl_multi_select($multi, 0.1);
        } while ($running > 0);
        $answers = [];
        foreach ($calls as $call) {
            $body = (string) curl_multi_getcontent($call);
            $decoded = json_decode($body, true);
            $status = curl_getinfo($call, CURLINFO_RESPONSE_CODE);
            if (!is_array($decoded) && $status !== 404) {
                throw new RuntimeException("status {$status}: " . substr($body, 0, 2000) . $this->log());
            }
            $answers[] = [$status, (array) $decoded];
        }
        return $answers;
    }

    /**
     * Keeps so many callers busy with one request, each on its own connection.
     *
     * @return array{list<float>, int} milliseconds of each answer 200, and how many were others
     */
    public function load(string $method, string $path, int $callers, float $seconds): array
    {
        $multi = curl_multi_init();
        curl_multi_setopt($multi, CURLMOPT_MAXCONNECTS, $callers);
        for ($caller = 0; $caller < $callers; $caller++) {
            curl_multi_add_handle($multi, $this->call($method, $path));
        }
        [$took, $others] = [[], 0];
        $end = hrtime(true) + (int) ($seconds * 1e9);
        $open = $callers;
        do {
            curl_multi_exec($multi, $running);
            while (($done = curl_multi_info_read($multi)) !== false) {
                $call = $done['handle'];
                if (curl_getinfo($call, CURLINFO_RESPONSE_CODE) === 200) {
                    $took[] = curl_getinfo($call, CURLINFO_TOTAL_TIME_T) / 1000;
                } else {
                    $others++;
                }
                curl_multi_remove_handle($multi, $call);
                if (hrtime(true) < $end) {
                    curl_multi_add_handle($multi, $call);
                } else {
                    $open--;
                }
            }
            curl_multi_select($multi, 0.05);
        } while ($open > 0);
        return [$took, $others];
    }

    public function log(): string
    {
        $logs = array_map('file_get_contents', glob("{$this->folder}/*.log") ?: []);
        return implode('', $logs) . $this->fpm->log() . substr($this->app->log(), 0, 4000);
    }

    public function __destruct()
    {
        proc_terminate($this->process);
        proc_close($this->process);
        array_map('unlink', array_filter(glob("{$this->folder}/*") ?: [], 'is_file'));
        @unlink("{$this->folder}/http.sock");
        array_map('rmdir', glob("{$this->folder}/*", GLOB_ONLYDIR) ?: []);
        rmdir($this->folder);
    }

    /** @param ?array<string, mixed> $json */
    private function call(string $method, string $path, ?array $json = null): CurlHandle
    {
        $call = curl_init();
        curl_setopt_array($call, [
            CURLOPT_URL => "http://localhost{$path}",
            CURLOPT_UNIX_SOCKET_PATH => "{$this->folder}/http.sock",
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => 60,
        ]);
        if ($json !== null) {
            curl_setopt($call, CURLOPT_POSTFIELDS, json_encode($json, JSON_THROW_ON_ERROR));
            curl_setopt($call, CURLOPT_HTTPHEADER, ['Content-Type: application/json']);
        }
        return $call;
    }

    private function parameters(): string
    {
        return getenv('STOCKADE_LARAVEL') . '/etc/nginx/fastcgi_params';
    }
}
