# What Vagrant makes of a Vagrantfile with a lab's home Vagrantfile, for one provider: as JSON, by machine. Run in a container of a
# lab's image (tests/it/guests.rs).
require "json"
answer = $stdout.dup
$stdout.reopen($stderr)
gem "vagrant"
require "vagrant"
provider = ARGV.fetch(0).to_sym
folder = ARGV.fetch(1)
# Whether there are boxes that are taken themselves.
boxed = ARGV[2]
ARGV.replace(["up"])
Vagrant::Plugin::Manager.instance.load_plugins(Vagrant::Plugin::Manager.instance.installed_plugins)
env = Vagrant::Environment.new(cwd: folder, local_data_path: "/tmp/vagrant", ui_class: Vagrant::UI::Silent)
boxes = env.boxes if boxed
said = env.machine_names.to_h do |name|
  config = env.vagrantfile.machine_config(name, provider, boxes, nil, false)[:config]
  machine = config.vm.get_provider_config(provider)
  shown = machine.instance_variables.to_h { |it| [it.to_s.delete_prefix("@"), machine.instance_variable_get(it)] }
  ssh = %i[host port guest_port username password private_key_path].to_h { |it| [it, config.ssh.public_send(it)] }
  vm = %i[box boot_timeout communicator guest].to_h { |it| [it, config.vm.public_send(it)] }
  folders = config.vm.synced_folders.map { |_, it| it[:type].to_s }
  [name, { provider: shown, ssh: ssh, vm: vm, networks: config.vm.networks.map { |type, it| [type, it] }, folders: folders }]
end
answer.write(JSON.generate(said))
