# Reads a Vagrantfile with Vagrant's own loader, as the provider VirtualBox would see it, and prints what it declares as
# JSON. Runs in a sealed container (src/lab/vagrantfile); the submission comes as a tar on standard input.
# ARGV: the Vagrantfile, below the submission's folder.
ROOT = "/tmp/submission"
SELF = Process.pid
BEGAN = Process.clock_gettime(Process::CLOCK_MONOTONIC)
# Seconds: between two looks at what goes on, and for how long there are as many processes as there may be before it is
# called without end. A burst is over by then.
EVERY = 0.25
CROWDED = 2
# The answer goes here; whatever the Vagrantfile prints goes to standard error, as what it runs prints does.
ANSWER = $stdout.dup
$stdout.reopen($stderr)
$stdout.sync = true

require "json"

ANSWERED = Mutex.new

def answer(said)
  # A child that the Vagrantfile forked has nothing to say.
  exit!(0) unless Process.pid == SELF
  # Two threads may come to an answer; the first one's is given.
  ANSWERED.lock
  ANSWER.write(JSON.generate(said))
  ANSWER.flush
  exit!(0)
end

# Where of the submission something happened, from the innermost frame on.
def place(frames)
  frame = (frames || []).find { |it| it.absolute_path.to_s.start_with?("#{ROOT}/") || it.path.to_s.start_with?("#{ROOT}/") }
  frame && { file: (frame.absolute_path || frame.path).delete_prefix("#{ROOT}/"), line: frame.lineno }
end

def text(value, most = 2000)
  value.to_s.dup.force_encoding("UTF-8").scrub("?")[0, most]
end

# For people: with paths as they know them.
def said(value, most = 500)
  text(value).gsub("#{ROOT}/", "").gsub(ENV.fetch("HOME"), "~")[0, most]
end

def conflict(file)
  line = File.foreach(file, mode: "rb").with_index(1).find { |it, _| it.match?(/\A(<{7}|>{7}|\|{7}) /) }
  line && line[1]
end

# What was raised, as data. Vagrant wraps what a Vagrantfile raises; the cause has the place.
def raised(error)
  inner = error
  inner = inner.cause while inner.cause && (inner.is_a?(Vagrant::Errors::VagrantError) || !place(inner.backtrace_locations))
  inner = error if inner.is_a?(SystemExit) != error.is_a?(SystemExit)
  at = place(inner.backtrace_locations) || place(error.backtrace_locations)
  seen = { kind: "raised", class: inner.class.name, message: said(inner.message) }
  case inner
  when SyntaxError
    found = inner.message.match(%r{#{ROOT}/(.+?):(\d+): })
    at = { file: found[1], line: found[2].to_i } if found
    line = at && conflict("#{ROOT}/#{at[:file]}")
    seen[:kind] = line ? "conflict" : "syntax"
    at[:line] = line if line
  when SystemExit
    seen[:kind] = "exit"
  when LoadError
    seen[:kind] = "library" unless inner.path.to_s.start_with?(ROOT, ".")
  when Errno::ENOENT
    # A program that is not in this container, not a file of the submission.
    first = inner.backtrace_locations&.first
    seen[:kind] = "program" if first && starts?(first)
  when SignalException
    seen[:kind] = "late"
  when NoMemoryError
    seen[:kind] = "memory"
  when Vagrant::Errors::VagrantError
    seen[:kind] = "vagrant"
  else
    seen[:kind] = "network" if inner.class.ancestors.any? { |it| it.name == "SocketError" } ||
                               [Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::ECONNREFUSED].include?(inner.class)
    # Whose bound it was, this container's or the host's, cannot be told.
    seen[:kind] = "full" if inner.is_a?(ThreadError) && inner.message.include?("can't create Thread")
  end
  seen.merge(at || {})
end

# Of this container, children included.
def cpu_used
  v2 = "/sys/fs/cgroup/cpu.stat"
  return File.read(v2)[/usage_usec (\d+)/, 1].to_f / 1e6 if File.exist?(v2)

  File.read("/sys/fs/cgroup/cpuacct/cpuacct.usage").to_f / 1e9
rescue SystemCallError
  Process.times.sum
end

# Whether a frame is one of Ruby's ways to start a program.
def starts?(frame)
  %w[` spawn popen system exec fork].include?(frame.label.to_s.split(/[#.]/).last)
end

# The states of all other processes, but of those that have ended: `R`, `S`.
def others
  ours = [1, Process.ppid, SELF]
  Dir.children("/proc").grep(/\A\d+\z/).reject { |it| ours.include?(it.to_i) }.filter_map do |pid|
    File.read("/proc/#{pid}/stat")[/\) ([^Z])/, 1]
  rescue SystemCallError
    nil
  end
end

# Whether this container has nearly as many processes, threads included, as it may. Where that cannot be read, a count tells.
def crowded?
  folder = ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"].find { |it| File.exist?("#{it}/pids.current") }
  most = folder ? File.read("#{folder}/pids.max").to_i : 0
  most.positive? ? File.read("#{folder}/pids.current").to_i * 10 >= most * 9 : others.length > 60
rescue SystemCallError
  false
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

# What the Vagrantfile left going is given the time to show whether it ends: what sleeps is a daemon, what works may be one
# that starts others without end, and `watch` says so. Whoever hears us waits for 22 s (sealed.rs).
def left_going(watched)
  watched[:done] = true
  began = now
  until (states = others).empty?
    return if now - BEGAN > 15
    return if watched[:crowded].zero? && now - began > ((states & %w[R D]).empty? ? 1 : 10)

    sleep 0.05
  end
end

# Whether this program's first thread waits for a disk.
def main_in_disk?
  File.read("/proc/#{SELF}/task/#{SELF}/stat")[/\) (\w)/, 1] == "D"
rescue SystemCallError
  false
end

# Ends what goes on for too long, with the line where it is. What got no time on the processor is not the Vagrantfile's
# doing: `busy` counts seconds on the processor, and idle is only what sleeps.
def watch(busy:, idle:, all:)
  began = now
  before = cpu_used
  # How many looks in a row, but for one, found as many processes as there may be, and since when; whether the file has been
  # read, and others go on.
  watched = { crowded: 0, since: nil, done: false }
  Thread.new do
    asleep = looks = 0
    loop do
      sleep EVERY
      running = others
      looks += 1
      # Who waits for a disk is kept waiting by the host.
      asleep += 1 if Thread.main.status == "sleep" && (running & %w[R D]).empty? && !main_in_disk?
      if crowded?
        watched[:since] ||= now
        watched[:crowded] = watched[:crowded].abs + 1
      elsif watched[:crowded].positive?
        watched[:crowded] *= -1
      else
        watched.update(crowded: 0, since: nil)
      end
      took = now - began
      cpu = cpu_used - before
      kind = if watched[:crowded] >= 3 && now - watched[:since] >= CROWDED then running.length < 30 ? "full" : "processes"
             elsif watched[:done] then nil
             elsif cpu > busy then "loop"
             elsif took > idle && asleep * 10 > looks * 8 then waits(running)
             elsif took > all then "starved"
             end
      answer({ error: { kind: kind, took: took, cpu: cpu }.merge(place(Thread.main.backtrace_locations) || {}) }) if kind
    end
  end
  watched
end

# What sleeps in starting a program that is not there was not let start it: Ruby tries again, every second, without end.
def waits(running)
  frame = Thread.main.backtrace_locations&.first
  running.empty? && frame && starts?(frame) ? "full" : "waits"
end

system("tar", "-x", "-m", "--no-same-owner", "-C", File.dirname(ROOT), in: $stdin) || answer({ error: { kind: "unpack" } })
$stdin.reopen(File::NULL)

# A person's computer: keys of SSH, and VirtualBox's own tool, which many Vagrantfiles ask for its folder.
home = ENV.fetch("HOME")
Dir.mkdir(home)
Dir.mkdir("#{home}/.ssh")
%w[id_rsa id_ed25519].each do |key|
  File.write("#{home}/.ssh/#{key}", "not a key\n")
  File.write("#{home}/.ssh/#{key}.pub", "ssh-ed25519 AAAA nobody\n")
end
Dir.mkdir("/tmp/bin")
File.write("/tmp/bin/VBoxManage", <<~SCRIPT)
  #!/bin/sh
  (IFS="$(printf '\037')"; echo "$*") >> /tmp/vboxmanage
  case "$1 $2" in
  "list systemproperties") echo "Default machine folder:          #{home}/VirtualBox VMs" ;;
  "--version "|"-v ") echo 7.0.10r158379 ;;
  esac
SCRIPT
File.chmod(0o755, "/tmp/bin/VBoxManage")
ENV["PATH"] = "/tmp/bin:#{ENV.fetch('PATH')}"

$VERBOSE = nil
begin
  gem "vagrant"
  # It would rewrite Debian's list of plugins, which is read-only here.
  require "vagrant/plugin/state_file"
  Vagrant::Plugin::StateFile.prepend(Module.new { def save! = @path.dirname.writable? && super })
  require "vagrant"
  require "vagrant/util/platform"
rescue LoadError => e
  answer({ error: { kind: "no_vagrant", message: text(e.message) } })
end
LENIENT.call

# Where each machine is defined, innermost frame of the submission.
module Lines
  ALL = {}

  def define(name, options = nil, &block)
    ALL[name.to_sym] ||= place(caller_locations)
    super
  end
end
Vagrant.plugin("2").manager.config[:vm].prepend(Lines)

# For validation: a machine that nobody makes.
class Nowhere < Vagrant.plugin("2", :provider)
  def self.usable?(*) = true

  def initialize(machine)
    @machine = machine
  end

  def state = Vagrant::MachineState.new(Vagrant::MachineState::NOT_CREATED_ID, "none", "none")
end

def plain(value)
  case value
  when Hash then value.reject { |key, _| key.to_s.start_with?("_") }.to_h { |key, v| [text(key, 100), plain(v)] }
  when Array, Set then value.first(200).map { |it| plain(it) }
  when Integer, Float, true, false, nil then value
  else text(value, 500)
  end
end

def field(config, name)
  value = config.respond_to?(name) ? config.public_send(name) : nil
  value == Vagrant::Plugin::V2::Config::UNSET_VALUE ? nil : plain(value)
rescue StandardError
  nil
end

def provisioner(it)
  config = it.config
  # A provisioner of a plugin answers to anything.
  known = !it.invalid? && config && !config.is_a?(Vagrant::Config::V2::DummyConfig)
  keys = known ? %i[playbook limit inventory_path provisioning_path inline path source destination] : []
  { type: text(it.type), name: it.name && text(it.name), run: it.run && text(it.run) }
    .merge(keys.to_h { |key| [key, field(config, key)] })
end

def invalid(env, name, config)
  vm = config.vm
  # What talks with a Windows is not here, and whether a file is in order does not depend on it.
  vm.communicator = nil
  folders = vm.instance_variable_get(:@allow_fstab_modification)
  vm.instance_variable_set(:@allow_fstab_modification, true) if folders == Vagrant::Plugin::V2::Config::UNSET_VALUE
  data = Pathname.new("/tmp/machines").join(name.to_s.gsub(/[^\w.-]/, "_")).tap(&:mkpath)
  machine = Vagrant::Machine.new(name, :virtualbox, Nowhere, vm.get_provider_config(:virtualbox), {}, config, data, nil, env,
                                 env.vagrantfile)
  config.validate(machine).values.flatten.map { |it| said(it) }.reject(&:empty?)
end

# Notes what a block for a provider sets.
class Noted < BasicObject
  def initialize(names)
    @names = names
  end

  def method_missing(name, *, **) # rubocop:disable Style/MissingRespondToMissing: whatever is asked, there is
    @names << name.to_s.delete_suffix("=")
    self
  end
end

# Blocks for other providers than the declared one, and what they set.
def others_blocks(vm)
  blocks = vm.instance_variable_get(:@__providers) || {}
  blocks.reject { |name, all| name == :virtualbox || all.empty? }.map do |name, all|
    names = []
    all.each do |block|
      block.call(Noted.new(names), Vagrant::Config::V2::DummyConfig.new)
    rescue SystemExit, SystemStackError, StandardError, ScriptError
      # It was run already, with what Vagrant gives it.
    end
    { name: text(name, 100), settings: names.grep(/\A[a-z]\w*\z/).uniq.first(20).map { |it| text(it, 60) } }
  end
end

# What of the way into a machine is not as Vagrant has it by itself.
def way_in(config)
  ssh = config.ssh
  own = { guest_port: 22, username: "vagrant" }
  names = %i[host port guest_port username password private_key_path proxy_command config ssh_command]
  set = names.reject { |name| [nil, own[name]].include?(field(ssh, name)) }.map { |name| "ssh.#{name}" }
  set << "vm.boot_timeout" unless field(config.vm, :boot_timeout) == 300
  set << "vm.communicator" unless [nil, "ssh"].include?(field(config.vm, :communicator))
  set
end

def machine(env, name, options)
  config = env.vagrantfile.machine_config(name, :virtualbox, nil, nil, false)[:config]
  vm = config.vm
  vb = vm.get_provider_config(:virtualbox)
  {
    name: text(name, 200), primary: options[:primary] == true, autostart: options.fetch(:autostart, true) != false,
    box: vm.box && text(vm.box, 300), box_url: !vm.box_url.nil?,
    box_urls: Array(vm.box_url).first(4).map { |it| text(it, 1000) }, box_version: vm.box_version && text(vm.box_version, 100),
    hostname: vm.hostname && text(vm.hostname, 300),
    insert_key: config.ssh.insert_key == true, username: field(config.ssh, :username), communicator: field(vm, :communicator),
    way_in: way_in(config), providers: others_blocks(vm),
    defined: env.vagrantfile.config.vm.defined_vms[name].config_procs.length,
    networks: vm.networks.map { |type, o| { type: text(type), options: plain(o) } },
    synced: vm.synced_folders.map { |_, o| { host: field_of(o, :hostpath), guest: field_of(o, :guestpath), type: field_of(o, :type), disabled: o[:disabled] == true } },
    vb_name: vb&.name && text(vb.name, 300),
    customizations: (vb&.customizations || []).map { |event, command| [text(event, 100), Array(command).map { |it| text(it, 500) }] },
    disks: vm.disks.map { |d| { type: text(d.type), name: field(d, :name), bytes: size(d.size), primary: d.primary == true } },
    provisioners: vm.provisioners.map { |it| provisioner(it) },
    invalid: invalid(env, name, config),
  }.merge(Lines::ALL[name.to_sym] || {})
end

def size(written)
  written.is_a?(Integer) ? written : Vagrant::Util::Numeric.string_to_bytes(written.to_s)
rescue StandardError
  nil
end

def field_of(options, key)
  options[key] && text(options[key], 500)
end

# What the Vagrantfile asked VirtualBox's own tool for while it was read.
def vboxmanage
  File.readlines("/tmp/vboxmanage", chomp: true).first(200).map { |line| line.split("\x1f").map { |it| text(it, 500) } }
rescue SystemCallError
  []
end

MOST = 64
file = File.join(ROOT, ARGV.fetch(0))
folder, name = File.split(file)
# As in `vagrant up`: some Vagrantfiles look.
ARGV.replace(["up"])
begin
  Dir.chdir(folder)
  watched = watch(busy: 5, idle: 6, all: 18)
  env = Vagrant::Environment.new(cwd: folder, vagrantfile_name: [name], ui_class: Vagrant::UI::Silent)
  names = env.vagrantfile.machine_names_and_options
  machines = names.first(MOST).map do |it, options|
    machine(env, it, options)
  rescue SystemExit, StandardError, ScriptError, SystemStackError => e
    { name: text(it, 200), error: raised(e) }.merge(Lines::ALL[it.to_sym] || {})
  end
  left_going(watched)
  answer({
    version: 1, vagrant: Vagrant::VERSION, count: names.length, machines: machines,
    vboxmanage: vboxmanage,
    unknown_plugins: ImparcialLenient::PLUGINS.map { |it| text(it, 100) }.sort,
    versions: ImparcialLenient::VERSIONS.map { |it| text(it, 100) }.sort,
  })
rescue Exception => e # rubocop:disable Lint/RescueException: whatever a Vagrantfile raises is said
  answer({ error: raised(e), unknown_plugins: ImparcialLenient::PLUGINS.map { |it| text(it, 100) }.sort })
end
